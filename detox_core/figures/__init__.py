"""Pure functions: DataFrame -> figure. Knows only pandas and Plotly."""
