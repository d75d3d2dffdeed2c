package fanout

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; it protects nothing
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/hub"
)

// isUpgrade reports whether a request asks for a WebSocket, rightly or not.
func isUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ProtoMinor > 0 && r.Method == http.MethodGet && hasWord(r.Header["Upgrade"], "websocket") &&
		hasWord(r.Header["Connection"], "upgrade")
}

func hasWord(values []string, word string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(part), word) {
				return true
			}
		}
	}
	return false
}

// validHandshake checks the rest of RFC 6455, 4.2.1.
func validHandshake(r *http.Request) bool {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	return err == nil && len(key) == 16 && r.Header.Get("Sec-WebSocket-Version") == "13"
}

const badHandshake = "Request contained an Upgrade header with value \"websocket\" but the request was not a valid WebSocket request.\n"

// upgrade asks the Handler about a handshake and makes the connection a socket.
func (s *server) upgrade(w http.ResponseWriter, r *http.Request, q *asked, h SocketHandler) {
	if !validHandshake(r) {
		s.engine.writePlain(w, r, &Response{Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(badHandshake)})
		return
	}
	handshake := q.Request
	handshake.Header, handshake.Body = r.Header.Clone(), http.NoBody
	so := &socket{
		session: &session{conn: q.Conn, remote: q.Remote, opened: q.at, format: formatFrame},
		server:  s, handler: h,
		info: Socket{Handshake: &handshake, Conn: q.Conn, Remote: q.Remote},
	}
	so.session.socket, so.info.push = so, so.push
	reply, err := askEvents(r.Context(), h, &so.info, []grip.Event{{Type: grip.EventOpen}})
	if err == nil && reply.Refuse == nil && (len(reply.Events) == 0 || reply.Events[0].Type != grip.EventOpen) {
		err = errNotOpened
	}
	switch {
	case err != nil:
		s.engine.refuse(w, r, err)
	case reply.Refuse != nil:
		if reply.Refuse.Stream != nil {
			defer reply.Refuse.Stream.Close()
		}
		s.engine.writePlain(w, r, reply.Refuse)
	default:
		s.accept(w, r, so, reply)
		return
	}
	so.joined.end()
}

var errNotOpened = errors.New("origin did not open the socket")

// accept sends the 101 and joins the socket.
func (s *server) accept(w http.ResponseWriter, r *http.Request, so *socket, reply *Reply) {
	direct := s.engine.canHijack(r)
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.engine.refuse(w, r, err)
		so.lost(r.Context())
		return
	}
	_ = conn.SetDeadline(time.Time{})
	head := appendSwitch(nil, r.Header.Get("Sec-WebSocket-Key"), reply.Header)
	so.early = buffered(buf.Reader)
	opened := *reply
	opened.Events = reply.Events[1:]
	j := so.joining(&opened, head)
	if direct {
		so.early = append(so.early, unread(conn)...)
		if d, ok := hub.NewDescriptor(conn); ok {
			j.Sink = d
			if _, err := s.engine.hub.Join(j); err != nil {
				_, _, _ = d.Write([]byte(unavailable))
				d.Finish()
				so.abandon(r.Context())
			}
			return
		}
	}
	s.carry(r.Context(), conn, so, j)
}

// abandon undoes joining for a socket that came too late.
func (s *socket) abandon(ctx context.Context) {
	s.engine.held.Add(-1)
	s.lost(ctx)
}

// lost tells the Handler, which believes that the socket is open, that it will
// not come to be.
func (s *socket) lost(ctx context.Context) {
	s.joined.end()
	_, _ = askEvents(ctx, s.handler, &s.info, []grip.Event{{Type: grip.EventDisconnect}})
}

// unread is what the front has read of a connection and net/http has not. Behind
// a deadline that has passed, Read gives nothing else.
func unread(conn net.Conn) (all []byte) {
	_ = conn.SetReadDeadline(time.Unix(1, 0))
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			_ = conn.SetReadDeadline(time.Time{})
			return all
		}
	}
}

// buffered is what the client sent behind its handshake without waiting.
func buffered(r *bufio.Reader) []byte {
	p, _ := r.Peek(r.Buffered())
	return append([]byte(nil), p...)
}

// appendSwitch writes the 101 (RFC 6455, 4.2.2).
func appendSwitch(dst []byte, key string, header http.Header) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = base64.StdEncoding.AppendEncode(dst, sum[:])
	dst = append(dst, "\r\n"...)
	return append(appendFields(dst, header), "\r\n"...)
}

// carry is the portable way: this goroutine writes, another one reads, both end
// with the connection.
func (s *server) carry(ctx context.Context, conn net.Conn, so *socket, j hub.Joining[*item]) {
	box := hub.NewMailbox(0)
	j.Sink = box
	timeout := s.engine.writeTimeout()
	m, err := s.engine.hub.Join(j)
	if err != nil {
		_ = conn.SetWriteDeadline(time.Now().Add(timeout))
		_, _ = io.WriteString(conn, unavailable)
		_ = conn.Close()
		so.abandon(ctx)
		return
	}
	gone, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends when conn is closed below
		defer close(gone)
		feed(m, conn, ended)
	}()
	box.Serve(gone, func(p []byte) error {
		_ = conn.SetWriteDeadline(time.Now().Add(timeout))
		_, err := conn.Write(p)
		return err
	})
	close(ended)
	_ = conn.Close()
	<-gone
}

// feed reads from conn and gives the member what comes, one piece at a time.
func feed(m *hub.Member[*item], conn io.Reader, ended <-chan struct{}) {
	buf, taken := make([]byte, 4096), make(chan struct{}, 1)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			m.Feed(buf[:n], func() { taken <- struct{}{} })
			select {
			case <-taken:
			case <-ended:
				return
			}
		}
		if err != nil {
			return
		}
	}
}
