// aes-nodejs encrypts a message with AES-128 in counter mode.

const { counterMode } = require("./aes.js");
const { serve } = require("./serve.js");

const KEY = Buffer.from("6368616e676520746869732070617373", "hex");
const DEFAULT_MESSAGE = "A unique message";

serve("aes", "Aes", {
  ShowEncryption({ plaintext_message }) {
    const message = plaintext_message || DEFAULT_MESSAGE;
    const sealed = Buffer.from(counterMode(KEY, Buffer.from(message)));
    return {
      encryption_info: `aes-nodejs | plaintext: ${message} | ciphertext: ${sealed.toString("hex")}`,
    };
  },
});
