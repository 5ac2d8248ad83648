"""aes-python encrypts a message with AES-128 in counter mode."""

import aes
from aes128 import counter_mode
from serve import run

KEY = bytes.fromhex("6368616e676520746869732070617373")
DEFAULT_MESSAGE = "A unique message"


class Aes(aes.AesServicer):
    def ShowEncryption(self, request, context):
        message = request.plaintext_message or DEFAULT_MESSAGE
        sealed = counter_mode(KEY, message.encode())
        return aes.ReturnEncryptionInfo(
            encryption_info=f"aes-python | plaintext: {message} | ciphertext: {sealed.hex()}"
        )


if __name__ == "__main__":
    run(lambda server: aes.register(Aes(), server))
