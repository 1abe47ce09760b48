"""Commands that run until told to stop: worker, dev, scheduler, api, metrics."""
