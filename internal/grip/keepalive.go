package grip

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	keepAliveIdle     = "idle"
	keepAliveInterval = "interval"
)

// readKeepAlive reads Grip-Keep-Alive, which is not a list: commas are data.
func (in *Instruct) readKeepAlive(h http.Header) (err error) {
	v := h.Values("Grip-Keep-Alive")
	if len(v) == 0 {
		return nil
	}
	e, ok := parseEntry(v[0])
	if !ok {
		return Reason("failed to parse Grip-Keep-Alive")
	}
	if e.first == "" {
		return Reason("Grip-Keep-Alive cannot be empty")
	}
	k := &in.KeepAlive
	if err := k.readMode(e); err != nil {
		return err
	}
	if err := k.readTimeout(e); err != nil {
		return err
	}
	k.Data, err = keepAliveData(e)
	return err
}

func (k *KeepAlive) readMode(e entry) error {
	switch mode, _ := e.get("mode"); mode {
	case "", keepAliveIdle:
	case keepAliveInterval:
		k.Interval = true
	default:
		return Reason(fmt.Sprintf("no such Grip-Keep-Alive mode '%s'", mode))
	}
	return nil
}

func (k *KeepAlive) readTimeout(e entry) error {
	k.Timeout = DefaultTimeout
	v, ok := e.get("timeout")
	if !ok {
		return nil
	}
	d, ok := parseSeconds(v)
	if !ok {
		return Reason("failed to parse Grip-Keep-Alive timeout value")
	}
	if d < 0 {
		return Reason("Grip-Keep-Alive timeout has invalid value")
	}
	k.Timeout = max(d, minKeepAlive)
	return nil
}

func keepAliveData(e entry) ([]byte, error) {
	switch format, _ := e.get("format"); format {
	case "", "raw":
		return []byte(e.first), nil
	case "cstring":
		return decodeCString(e.first)
	case "base64":
		return decodeBase64(e.first), nil
	default:
		return nil, Reason(fmt.Sprintf("no such Grip-Keep-Alive format '%s'", format))
	}
}

const errCString Reason = "failed to parse Grip-Keep-Alive cstring format"

// decodeCString undoes \\, \r, \n and \xHH. Another letter after a backslash
// yields nothing for the pair.
func decodeCString(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for s != "" {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			break
		}
		out = append(out, s[:i]...)
		var err error
		if out, s, err = appendEscape(out, s[i+1:]); err != nil {
			return nil, err
		}
	}
	return append(out, s...), nil
}

// appendEscape appends what the escape at the start of s stands for; the
// backslash is gone.
func appendEscape(out []byte, s string) ([]byte, string, error) {
	if s == "" {
		return nil, "", errCString
	}
	switch s[0] {
	case '\\':
		out = append(out, '\\')
	case 'r':
		out = append(out, '\r')
	case 'n':
		out = append(out, '\n')
	case 'x':
		if len(s) < 3 || hexDigit(s[1]) < 0 || hexDigit(s[2]) < 0 {
			return nil, "", errCString
		}
		return append(out, byte(hexDigit(s[1])<<4|hexDigit(s[2]))), s[3:], nil
	}
	return out, s[1:], nil
}

// hexDigit returns the value of a hex digit in either case, or -1.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// writeCString escapes what a header or its syntax cannot carry: control
// bytes, anything beyond ASCII, the semicolon that would end the data, and
// spaces at the edges, which would be trimmed.
func writeCString(b *strings.Builder, data []byte) {
	for i, c := range data {
		switch edge := i == 0 || i == len(data)-1; {
		case c == '\\':
			b.WriteString(`\\`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\n':
			b.WriteString(`\n`)
		case c < ' ' || c > '~' || c == ';' || c == ' ' && edge:
			fmt.Fprintf(b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
}

// rawSafe reports whether data survives as it is, without a format.
func rawSafe(data string) bool {
	return fieldSafe(data) && !strings.Contains(data, ";") && trim(data) == data
}
