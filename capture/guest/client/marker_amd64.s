#include "textflag.h"

// A marker is `nopl disp32(%rax)`: seven bytes that do nothing on any x86-64 processor. The recorder
// knows it by the upper 24 bits of the displacement, "mus"; the low byte is the operation.
#define MARKER(op) BYTE $0x0f; BYTE $0x1f; BYTE $0x80; BYTE $op; BYTE $0x73; BYTE $0x75; BYTE $0x6d

TEXT ·markArm(SB), NOSPLIT, $0-0
	MARKER(0x01)
	RET

TEXT ·markBegin(SB), NOSPLIT, $0-0
	MARKER(0x02)
	RET

TEXT ·markEnd(SB), NOSPLIT, $0-0
	MARKER(0x03)
	RET

TEXT ·markFinish(SB), NOSPLIT, $0-0
	MARKER(0x04)
	RET

TEXT ·markStart(SB), NOSPLIT, $0-0
	MARKER(0x10)
	RET
