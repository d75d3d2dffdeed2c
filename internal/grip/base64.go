package grip

import "encoding/base64"

// decodeBase64 decodes the standard alphabet and skips every other byte, as
// Pushpin does: "!!!" is empty, and padding may be missing.
func decodeBase64(s string) []byte {
	if b, err := base64.StdEncoding.DecodeString(s); err == nil {
		return b
	}
	out := make([]byte, 0, len(s)/4*3+3)
	var bits, n uint
	for i := 0; i < len(s); i++ {
		d := base64Digit(s[i])
		if d < 0 {
			continue
		}
		bits, n = bits<<6|uint(d), n+6
		if n >= 8 {
			n -= 8
			out = append(out, byte(bits>>n))
		}
	}
	return out
}

// base64Digit returns the value of a digit of the standard alphabet, or -1.
func base64Digit(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
