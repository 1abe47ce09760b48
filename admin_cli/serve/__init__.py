"""Commands that run until they are stopped: worker, dev, scheduler, api, metrics."""
