"""AES-128 in counter mode, in plain Python (FIPS 197, SP 800-38A)."""

ROUNDS = 10


def _double(a):
    return ((a << 1) ^ (0x11B if a & 0x80 else 0)) & 0xFF


def _make_sbox():
    """The S-box: the inverse in GF(2^8), then an affine map."""
    box = [0x63] * 256
    p = q = 1
    while True:
        p ^= _double(p)  # times 3
        q ^= q << 1  # divided by 3
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        rotated = [((q << n) | (q >> (8 - n))) & 0xFF for n in range(1, 5)]
        box[p] = q ^ rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ 0x63
        if p == 1:
            return box


SBOX = _make_sbox()


def _expand_key(key):
    words = list(key)
    constant = 1
    for i in range(16, 16 * (ROUNDS + 1), 4):
        last = words[i - 4 : i]
        if i % 16 == 0:
            last = [SBOX[byte] for byte in last[1:] + last[:1]]
            last[0] ^= constant
            constant = _double(constant)
        words += [words[i - 16 + j] ^ last[j] for j in range(4)]
    return words


def _mix_columns(state):
    mixed = []
    for c in range(0, 16, 4):
        column = state[c : c + 4]
        for r in range(4):
            a, b = column[r], column[(r + 1) % 4]
            mixed.append(_double(a) ^ _double(b) ^ b ^ column[(r + 2) % 4] ^ column[(r + 3) % 4])
    return mixed


def _encrypt_block(block, keys):
    state = [byte ^ key for byte, key in zip(block, keys)]
    for rnd in range(1, ROUNDS + 1):
        # Substitute and shift rows: byte r of column c comes from column c + r.
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if rnd < ROUNDS:
            state = _mix_columns(state)
        state = [byte ^ key for byte, key in zip(state, keys[16 * rnd :])]
    return state


def counter_mode(key, plain):
    """Encrypts (and decrypts) with counters from 1 on."""
    keys = _expand_key(key)
    sealed = bytearray()
    for number, at in enumerate(range(0, len(plain), 16), start=1):
        pad = _encrypt_block(number.to_bytes(16, "big"), keys)
        sealed += bytes(byte ^ p for byte, p in zip(plain[at : at + 16], pad))
    return bytes(sealed)
