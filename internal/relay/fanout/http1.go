package fanout

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// request1 is the head of an HTTP/1.1 request that the front answers itself: a
// GET or POST of the plainest form. Everything else, right or wrong, is
// net/http's to judge, so this parser only has to be sure of what it accepts.
type request1 struct {
	method, path, query, host string
	header                    http.Header
	length                    int // of the body; 0 without Content-Length
}

// headState is what parseHead makes of bytes.
type headState uint8

const (
	headPartial headState = iota // more bytes are needed
	headPlain                    // parsed
	headOther                    // for net/http
)

const (
	// maxHead1 and maxBody1 bound what the front reads itself, in bytes.
	maxHead1 = 8 << 10
	maxBody1 = 40 << 10
	// maxFields bounds the header fields of a request the front reads itself.
	maxFields = 64
)

// parseHead reads a request head at the start of b into r, reusing r.header,
// and returns its length. It accepts a subset of RFC 9112, sections 2 to 5: no
// absolute form, no folding, no bare LF, nothing that changes the framing but
// one Content-Length.
func (r *request1) parseHead(b []byte) (n int, state headState) {
	end := bytes.Index(b, crlf2)
	if end < 0 {
		if len(b) > maxHead1 || !r.couldBePlain(b) {
			return 0, headOther
		}
		return 0, headPartial
	}
	if end > maxHead1 {
		return 0, headOther
	}
	head := string(b[:end]) // every string of the request is a part of this one
	line, rest, _ := strings.Cut(head, "\r\n")
	if !r.parseLine(line) || !r.parseFields(rest) {
		return 0, headOther
	}
	return end + len(crlf2), headPlain
}

var crlf2 = []byte("\r\n\r\n")

// couldBePlain gives a request up early whose first bytes are not one of the
// front's methods, such as the preface of HTTP/2.
func (r *request1) couldBePlain(b []byte) bool {
	return hasPrefixOf(b, "GET /") || hasPrefixOf(b, "POST /")
}

// hasPrefixOf reports whether b begins with s, or s with b.
func hasPrefixOf(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

func (r *request1) parseLine(line string) bool {
	var target string
	var ok bool
	switch {
	case strings.HasPrefix(line, "GET /"):
		r.method, target = http.MethodGet, line[len("GET "):]
	case strings.HasPrefix(line, "POST /"):
		r.method, target = http.MethodPost, line[len("POST "):]
	default:
		return false
	}
	if target, ok = strings.CutSuffix(target, " HTTP/1.1"); !ok {
		return false
	}
	r.path, r.query, _ = strings.Cut(target, "?")
	for i := range len(r.path) {
		if !pathByte[r.path[i]] {
			return false
		}
	}
	for i := range len(r.query) {
		if c := r.query[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

func (r *request1) parseFields(rest string) bool {
	if r.header == nil {
		r.header = make(http.Header, 16)
	}
	clear(r.header)
	r.host, r.length = "", 0
	values := make([]string, 0, 16)
	for fields := 0; rest != ""; fields++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || fields == maxFields || !isToken(name) || !isValue(value) {
			return false
		}
		name, value = canonical(name), strings.Trim(value, " \t")
		if name == "Host" {
			if r.host != "" || !isHost(value) {
				return false
			}
			r.host = value
			continue
		}
		if !r.frames(name, value) {
			return false
		}
		if had := r.header[name]; had != nil {
			r.header[name] = append(had[:len(had):len(had)], value)
			continue
		}
		values = append(values, value)
		r.header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return r.host != ""
}

// frames looks at the fields that say where a request ends, and reports whether
// the request is still a plain one.
func (r *request1) frames(name, value string) bool {
	switch name {
	case "Content-Length":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || value[0] == '+' || r.header[name] != nil || n > maxBody1 || r.method == http.MethodGet && n > 0 {
			return false
		}
		r.length = int(n)
	case "Connection":
		return strings.EqualFold(value, "keep-alive")
	case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Te":
		return false
	}
	return true
}

// canonical is http.CanonicalHeaderKey without allocating for what clients
// usually send, in either of the usual spellings.
func canonical(name string) string {
	switch name {
	case "Host", "host":
		return "Host"
	case "Authorization", "authorization":
		return "Authorization"
	case "Content-Length", "content-length":
		return "Content-Length"
	case "Content-Type", "content-type":
		return "Content-Type"
	case "User-Agent", "user-agent":
		return "User-Agent"
	case "Accept", "accept":
		return "Accept"
	case "Accept-Encoding", "accept-encoding":
		return "Accept-Encoding"
	case "Connection", "connection":
		return "Connection"
	}
	return http.CanonicalHeaderKey(name)
}

// The classes of bytes, as tables: pathByte are RFC 3986's unreserved
// characters and the slash, tokenByte RFC 9110's token characters.
var (
	pathByte  = class("/-._~")
	tokenByte = class("!#$%&'*+-.^_`|~")
	hostByte  = class("-._~:[]")
)

// class is the letters, the digits and the bytes of more.
func class(more string) (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + more) {
		t[c] = true
	}
	return t
}

func isToken(s string) bool {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

func isHost(s string) bool {
	for i := range len(s) {
		if !hostByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s can be a field value: no control but the tab.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// appendAnswer writes a whole response that is not held. A status that has no
// body gets none: the client would take it for the next response.
func appendAnswer(dst []byte, resp *Response, date string) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(resp.status()), 10)
	dst = append(append(dst, ' '), http.StatusText(resp.status())...)
	dst = append(dst, "\r\n"...)
	dst = appendFields(dst, resp.Header)
	if resp.Header["Date"] == nil {
		dst = append(append(append(dst, "Date: "...), date...), "\r\n"...)
	}
	if !resp.hasBody() {
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(resp.Body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, resp.Body...)
}

// hasBody reports whether a response with its status may have a body (RFC 9112,
// 6.3).
func (r *Response) hasBody() bool {
	s := r.status()
	return s >= http.StatusOK && s != http.StatusNoContent && s != http.StatusNotModified
}

// appendFields writes header fields, without those that frame the body.
func appendFields(dst []byte, header http.Header) []byte {
	for name, values := range header {
		if name == "Content-Length" || name == "Transfer-Encoding" || name == "Connection" || !isToken(name) {
			continue
		}
		for _, v := range values {
			dst = append(append(dst, name...), ": "...)
			dst = append(appendLine(dst, v), "\r\n"...)
		}
	}
	return dst
}

// appendLine writes text that must stay on its line: a line end in a field
// value would let whoever chose it write the rest of the response.
func appendLine(dst []byte, text string) []byte {
	start := len(dst)
	dst = append(dst, text...)
	for i, c := range dst[start:] {
		if c == '\r' || c == '\n' {
			dst[start+i] = ' '
		}
	}
	return dst
}
