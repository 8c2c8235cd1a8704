"""W&B as the tracker: nobody else imports `wandb`."""
