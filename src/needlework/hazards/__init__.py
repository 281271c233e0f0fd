"""What each published defect costs: effects by model and suite, their page and picture."""
