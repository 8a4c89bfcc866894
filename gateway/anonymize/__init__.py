"""`POST /v1/anonymize`: choose the faces, hide them, check the result, sign."""
