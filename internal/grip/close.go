package grip

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

const (
	// closeNormal is what a close without a code becomes.
	closeNormal = 1000
	// maxCloseReason is what a control frame leaves beside the code (RFC 6455, 5.5).
	maxCloseReason = 123
)

const errClose Reason = "close content is a single byte"

// ParseClose reads the content of a CLOSE event or close frame: two bytes of
// code, then a reason. Without content the code is 0. A single byte is an
// error. Whether the code may appear in a frame is for LegalClose to say.
func ParseClose(content []byte) (code int, reason string, err error) {
	switch len(content) {
	case 0:
		return 0, "", nil
	case 1:
		return 0, "", errClose
	}
	return int(binary.BigEndian.Uint16(content)), string(content[2:]), nil
}

// LegalClose maps a code that must not appear in a close frame to 1000: 0 to
// 999, which js-grip and pygripcontrol send when given none, the reserved 1004
// to 1006 and 1015, and numbers beyond 16 bits. ok is false if it did. Pushpin
// passes these codes on, and browsers report a protocol error.
func LegalClose(code int) (legal int, ok bool) {
	switch {
	case code < 1000, code > 0xffff, code >= 1004 && code <= 1006, code == 1015:
		return closeNormal, false
	}
	return code, true
}

// AppendClose appends the content of a close frame: the code, which LegalClose
// must have passed, and the reason, made valid UTF-8 and cut to the 123 bytes
// that a frame can carry.
func AppendClose(dst []byte, code int, reason string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, closeReason(reason)...)
}

func closeReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\ufffd")
	if len(reason) <= maxCloseReason {
		return reason
	}
	end := maxCloseReason
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}
