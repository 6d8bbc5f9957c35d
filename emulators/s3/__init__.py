"""A stand-in for S3 (with STS, KMS and IAM) that refuses what S3 refuses.

    with S3Emulator(buckets=["lake"]) as s3:
        s3.client().put_object(Bucket="lake", Key="a", Body=b"1")

Objects and settings are kept by moto, in memory, and in a folder where one is given. What moto lets pass
is refused here as S3 does: wrong checksums and Content-MD5, wrong keys and secrets, signatures for
another region (boto3 reads the right one from the refusal and asks again, as it does on AWS), kinds of
encryption that there are not, what the bucket's policy denies. Conditional writes are decided and done
in one step, listings are in byte order with 1,000 keys a page, and :meth:`S3Emulator.fail` lets chosen
requests go wrong.

How it differs from S3, as far as is known: KMS keys are names, and nobody is asked whether he may use
them; STS, KMS and IAM take a signature for any region; there is one region, and one account.

From a shell: ``python -m emulators.s3 --help``.
"""

from emulators.s3.app import Request
from emulators.s3.emulator import S3Emulator
from emulators.s3.faults import Fault, FaultKind

__all__ = ["Fault", "FaultKind", "Request", "S3Emulator"]
