"""The pages of the app: forms and pictures. No torch, no business logic."""
