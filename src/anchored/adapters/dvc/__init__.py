"""DVC: nobody else imports `dvc`, `dvc_data` or `dvc_objects`."""
