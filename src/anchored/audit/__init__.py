"""All runs, checked whether they can still be reproduced."""
