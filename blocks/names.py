"""What AWS takes for a bucket, a lake's prefix and a key; pure.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

from __future__ import annotations

import re

_FOLDER = r"[A-Za-z0-9!_.()=+@:,-]+"

#: 3 to 63 lower-case letters, digits, dots and hyphens.
BUCKET_NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

#: Folders without a slash at either end. Wildcards and spaces would mean something else in a policy, a quote
#: would end a string in Snowflake's set-up.
LAKE_PREFIX = re.compile(rf"{_FOLDER}(/{_FOLDER})*")

#: The key's own ARN: the bucket policy compares it, so an alias would not do.
KMS_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
