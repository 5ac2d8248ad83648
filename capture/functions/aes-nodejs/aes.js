// AES-128 in counter mode, in plain JavaScript (FIPS 197, SP 800-38A).

const double = (a) => ((a << 1) ^ ((a >> 7) * 0x11b)) & 0xff;

/** The S-box: the inverse in GF(2^8), then an affine map. */
const SBOX = (() => {
  const box = new Uint8Array(256);
  let p = 1;
  let q = 1;
  do {
    p ^= double(p); // times 3
    q ^= q << 1; // divided by 3
    q ^= q << 2;
    q ^= q << 4;
    q &= 0xff;
    if (q & 0x80) q ^= 0x09;
    const rotated = (n) => ((q << n) | (q >> (8 - n))) & 0xff;
    box[p] = q ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63;
  } while (p !== 1);
  box[0] = 0x63;
  return box;
})();

const ROUNDS = 10;

function expandKey(key) {
  const words = new Uint8Array(16 * (ROUNDS + 1));
  words.set(key);
  let constant = 1;
  for (let i = 16; i < words.length; i += 4) {
    let last = words.slice(i - 4, i);
    if (i % 16 === 0) {
      last = Uint8Array.of(SBOX[last[1]] ^ constant, SBOX[last[2]], SBOX[last[3]], SBOX[last[0]]);
      constant = double(constant);
    }
    for (let j = 0; j < 4; j++) words[i + j] = words[i + j - 16] ^ last[j];
  }
  return words;
}

function encryptBlock(input, keys) {
  let state = input.map((byte, i) => byte ^ keys[i]);
  for (let round = 1; round <= ROUNDS; round++) {
    // Substitute and shift rows: byte r of column c comes from column c + r.
    let next = new Uint8Array(16);
    for (let i = 0; i < 16; i++) next[i] = SBOX[state[(i + 4 * (i % 4)) % 16]];
    if (round < ROUNDS) next = mixColumns(next);
    state = next.map((byte, i) => byte ^ keys[16 * round + i]);
  }
  return state;
}

function mixColumns(state) {
  const mixed = new Uint8Array(16);
  for (let c = 0; c < 16; c += 4) {
    for (let r = 0; r < 4; r++) {
      const a = state[c + r];
      const b = state[c + ((r + 1) % 4)];
      mixed[c + r] = double(a) ^ double(b) ^ b ^ state[c + ((r + 2) % 4)] ^ state[c + ((r + 3) % 4)];
    }
  }
  return mixed;
}

/** Encrypts (and decrypts) with counters from 1 on. */
function counterMode(key, plain) {
  const keys = expandKey(key);
  const counter = new Uint8Array(16);
  counter[15] = 1;
  const sealed = new Uint8Array(plain.length);
  for (let at = 0; at < plain.length; at += 16) {
    const pad = encryptBlock(counter, keys);
    for (let i = 0; i < 16 && at + i < plain.length; i++) sealed[at + i] = plain[at + i] ^ pad[i];
    for (let i = 15; i >= 0; i--) {
      counter[i]++;
      if (counter[i] !== 0) break;
    }
  }
  return sealed;
}

module.exports = { counterMode };
