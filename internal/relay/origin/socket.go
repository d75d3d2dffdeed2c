package origin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// settle is how long frames wait behind a 101 that passes through Viceroy, which
// drops what comes in one piece with it (grip.md, 7.7).
const settle = 20 * time.Millisecond

// bridge carries a socket to its target. It is the socket's State, so its methods
// are called by one goroutine at a time.
type bridge interface {
	events(ctx context.Context, in []grip.Event) (*fanout.Reply, error)
}

// QuickEvents implements fanout.SocketHandler: an origin always makes wait.
func (b *backend) QuickEvents(*fanout.Socket, []grip.Event) bool { return false }

// Events implements fanout.SocketHandler.
func (b *backend) Events(ctx context.Context, s *fanout.Socket, in []grip.Event) (*fanout.Reply, error) {
	if b.targets[0].address == testTarget {
		return testEvents(s, in), nil
	}
	if s.State == nil {
		return b.open(ctx, s), nil
	}
	reply, err := s.State.(bridge).events(ctx, in)
	if err != nil {
		b.tell("socket failed", s.Handshake, err)
	}
	return reply, err
}

// open connects a socket to the first target that can be connected to. Whatever
// goes wrong is an answer.
func (b *backend) open(ctx context.Context, s *fanout.Socket) *fanout.Reply {
	s.Prefix = b.route.prefix
	_, routed := s.Handshake.Header[routeHeader]
	header := b.socketHeader(s.Handshake.Header, s.Handshake.Secure)
	base := session{backend: b, socket: s, header: header, host: b.host(s.Handshake)}
	var missed unreachable
	var faults []error
	for _, t := range b.targets {
		base.target = t
		reply, err := base.connect(ctx)
		if isConnectError(err) {
			missed.tried, faults = append(missed.tried, t.address), append(faults, err)
			continue
		}
		if err != nil {
			return b.refuse(s, err)
		}
		if routed && b.proxy.opt.RouteHeader {
			reply.Settle = settle
		}
		return reply
	}
	missed.err = errors.Join(faults...)
	return b.refuse(s, &missed)
}

// refuse answers a handshake that failed, in a form of its own: without a type.
func (b *backend) refuse(s *fanout.Socket, err error) *fanout.Reply {
	b.tell("socket refused", s.Handshake, err)
	return &fanout.Reply{Refuse: &fanout.Response{
		Status: http.StatusBadGateway, Header: http.Header{"Connection": {"close"}, "Date": nil}, Body: []byte(b.explain(err)),
	}}
}

// session is what the two kinds of bridges have in common. Owned by the call of
// Events under way, but for grip and prefix, which are static once open.
type session struct {
	backend *backend
	socket  *fanout.Socket
	target  *server
	host    string
	// header is the one set of headers of the socket, that of the handshake. It is
	// cloned for each request, because a request may be read behind its answer.
	header http.Header
	grip   bool   // the origin agreed on control messages
	prefix string // of its messages to the client
	// told of a control message that is ignored: once, for there may be many. Owned
	// by the one that takes the origin's messages.
	told bool
}

// connect opens the socket at one target.
func (s session) connect(ctx context.Context) (*fanout.Reply, error) {
	if s.target.overHTTP {
		w := &webSocketOverHTTP{session: s, id: newConnectionID()}
		reply, err := w.open(ctx)
		if err == nil && reply.Refuse == nil {
			s.socket.State = w
			s.noteOpened()
		}
		return reply, err
	}
	n := &native{session: s}
	reply, err := n.open(ctx)
	if err == nil && reply.Refuse == nil {
		s.socket.State = n
		s.noteOpened()
	}
	return reply, err
}

// refusal passes on an origin's answer to a handshake that is no acceptance.
func (s *session) refusal(resp *http.Response, body []byte) *fanout.Reply {
	header := withoutGrip(responseHeader(resp.Header))
	delete(header, "Content-Length")
	header["Connection"] = []string{"close"}
	return &fanout.Reply{Refuse: &fanout.Response{Status: resp.StatusCode, Header: header, Body: body}}
}

// accepted is the header of the 101.
func (s *session) accepted(h http.Header) http.Header {
	header := withoutGrip(responseHeader(h))
	for name := range header {
		if isBridgeHeader(name) {
			delete(header, name)
		}
	}
	return header
}

// isBridgeHeader tells the headers that are between the origin and the relay
// (grip.md, 5.5 and 5.8).
func isBridgeHeader(name string) bool {
	switch name {
	case "Content-Length", "Content-Type", "Keep-Alive-Interval", "Sec-Websocket-Extensions", "Content-Bytes-Accepted",
		"Upgrade", "Sec-Websocket-Accept":
		return true
	}
	return len(name) > len(setMeta) && name[:len(setMeta)] == setMeta
}

const setMeta = "Set-Meta-"

// implicit subscribes a new socket to what its target's sub= names.
func (s *session) implicit() []grip.Control {
	var out []grip.Control
	for _, name := range s.target.subs {
		out = append(out, grip.Control{Type: grip.ControlSubscribe, Channel: name})
	}
	return out
}

// script builds a Reply in which control messages keep their place among events.
type script struct {
	first fanout.Reply
	last  *fanout.Reply
	ended bool // nothing counts behind an end
}

func (c *script) node() *fanout.Reply {
	if c.last == nil {
		c.last = &c.first
	}
	return c.last
}

func (c *script) event(e grip.Event) {
	n := c.node()
	n.Events = append(n.Events, e)
	switch e.Type {
	case grip.EventClose, grip.EventDisconnect:
		c.ended = true
	}
}

// control goes in front of the node's events. That the socket is open is no event
// of its client, so it does not count.
func (c *script) control(m grip.Control) {
	n := c.node()
	if len(n.Events) > 1 || len(n.Events) == 1 && n.Events[0].Type != grip.EventOpen {
		n.Then = new(fanout.Reply)
		n = n.Then
		c.last = n
	}
	n.Control = append(n.Control, m)
}

// take sorts what an origin has sent into messages for the client and control
// messages (grip.md, 5.9).
func (s *session) take(c *script, events []grip.Event) {
	for _, e := range events {
		if c.ended {
			return
		}
		if !s.grip {
			s.message(c, e)
			continue
		}
		class, content := grip.Classify(e, s.prefix)
		switch class {
		case grip.ClassControl:
			s.follow(c, content)
		case grip.ClassMessage:
			e.Content = content
			s.message(c, e)
		}
	}
}

// message is for the client. Close codes that must not be on the wire, which some
// libraries send when they are given none, become 1000.
func (s *session) message(c *script, e grip.Event) {
	if code, reason, err := grip.ParseClose(e.Content); e.Type == grip.EventClose && (err != nil || len(e.Content) > 0) {
		if legal, ok := grip.LegalClose(code); !ok || err != nil {
			s.backend.proxy.log.Warn("close code replaced", "cause", "it must not be in a close frame",
				"code", code, "route", s.backend.route.String(), "conn", s.socket.Conn)
			e.Content = grip.AppendClose(nil, legal, reason)
		}
	}
	c.event(e)
}

// follow reads a control message. One that is wrong is ignored, but for too many
// filters, which end the socket (grip.md, 4).
func (s *session) follow(c *script, content []byte) {
	m, err := grip.ParseControl(content)
	switch {
	case errors.Is(err, grip.ErrTooManyFilters):
		reason := ""
		if s.backend.debug() {
			reason = err.Error()
		}
		const internalError = 1011
		c.event(grip.Event{Type: grip.EventClose, Content: grip.AppendClose(nil, internalError, reason)})
		return
	case err != nil && s.told:
		return
	case err != nil:
		s.told = true
		s.backend.proxy.log.Warn("control message ignored", "cause", err, "route", s.backend.route.String(), "conn", s.socket.Conn)
		return
	}
	switch m.Type {
	case grip.ControlSession:
		return
	case grip.ControlSubscribe, grip.ControlUnsubscribe:
		if m.Type == grip.ControlUnsubscribe && s.isImplicit(m.Channel) {
			return
		}
	}
	c.control(m)
}

func (s *session) isImplicit(channel string) bool {
	for _, name := range s.target.subs {
		if name == channel {
			return true
		}
	}
	return false
}

// agree takes over what the origin says of the grip extension.
func (s *session) agree(h http.Header) {
	s.prefix, s.grip = grip.ParseExtensions(h["Sec-Websocket-Extensions"])
	s.grip = s.grip && !s.backend.route.noGrip
}
