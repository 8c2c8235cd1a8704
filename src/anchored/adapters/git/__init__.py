"""Git, through GitPython and its command: nobody else imports `git`."""
