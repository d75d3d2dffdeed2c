package fanout

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

func (r *Response) reason() string {
	if r.Reason != "" {
		return r.Reason
	}
	return http.StatusText(r.status())
}

// writeWithReason takes the connection away from net/http, which only sends the
// usual reason phrases, writes resp and closes. It reports false if it cannot.
func (e *Engine) writeWithReason(w http.ResponseWriter, r *http.Request, resp *Response) bool {
	hj, ok := w.(http.Hijacker)
	if !ok {
		return false
	}
	conn, _, err := hj.Hijack()
	if err != nil {
		return false
	}
	defer conn.Close()
	out := timedConn{conn, e.writeTimeout()}
	body := resp.hasBody() && r.Method != http.MethodHead
	if _, err := out.Write(appendReasonHead(nil, r.ProtoMinor, resp)); err != nil || !body {
		return true
	}
	_, err = out.Write(resp.Body)
	if err == nil && resp.Stream != nil {
		_, err = io.Copy(out, resp.Stream)
	}
	if l, ok := conn.(interface{ SetLinger(int) error }); err != nil && ok {
		_ = l.SetLinger(0) // a body that ends with the connection must not look complete
	}
	return true
}

// appendReasonHead writes the head of a response that ends with its connection.
func appendReasonHead(dst []byte, minor int, resp *Response) []byte {
	dst = append(dst, "HTTP/1."...)
	dst = strconv.AppendInt(dst, int64(minor), 10)
	dst = strconv.AppendInt(append(dst, ' '), int64(resp.status()), 10)
	dst = append(appendLine(append(dst, ' '), resp.reason()), "\r\n"...)
	dst = appendFields(dst, resp.Header)
	length := resp.Header.Get("Content-Length")
	if resp.Stream == nil && resp.hasBody() {
		length = strconv.Itoa(len(resp.Body))
	}
	if length != "" {
		dst = append(appendLine(append(dst, "Content-Length: "...), length), "\r\n"...)
	}
	return append(dst, "Connection: close\r\n\r\n"...)
}

// timedConn is a connection whose peer may take nothing for so long and no longer.
type timedConn struct {
	conn interface {
		io.Writer
		SetWriteDeadline(time.Time) error
	}
	timeout time.Duration
}

// Write implements io.Writer.
func (t timedConn) Write(p []byte) (int, error) {
	_ = t.conn.SetWriteDeadline(time.Now().Add(t.timeout))
	return t.conn.Write(p)
}
