package fanout

import (
	"context"
	"net/http"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// SocketHandler is a Handler that also answers WebSockets, the way an origin
// behind WebSocket-over-HTTP does (grip.md, 5). A Handler that is none answers
// handshakes by Request.
type SocketHandler interface {
	Handler
	// Events answers a batch of events of one socket. There is one call at a
	// time for each socket, in the order of what happened on it:
	//
	//   - the first has the single event EventOpen; its answer accepts the
	//     socket with an EventOpen, or refuses it with Reply.Refuse;
	//   - then what the client has sent, several messages together if they came
	//     while a call was under way, the bytes that were not accepted before in
	//     front;
	//   - an empty batch when a refresh was published to the socket, or the
	//     reply's Interval has passed without a call;
	//   - at last EventClose, when the client closes, or EventDisconnect when it
	//     is gone; the reply to EventDisconnect is ignored.
	//
	// Content is valid during the call only. An error drops the connection; the
	// Handler is not told of an end that it has caused.
	Events(ctx context.Context, s *Socket, in []grip.Event) (*Reply, error)
	// QuickEvents reports whether Events will answer in without waiting for
	// anything. It must not block or keep in.
	QuickEvents(s *Socket, in []grip.Event) bool
}

// Socket is one WebSocket as its Handler sees it.
type Socket struct {
	// Handshake is the request that asked for the socket; its Body is empty. From
	// the first call of Events on it is the Handler's, to change or to let go.
	Handshake *Request
	// Conn is the number its log lines carry, Remote the client's address.
	Conn   uint64
	Remote string
	// State is the Handler's own, kept between calls. Only Events touches it.
	State any
	// MaxChannels is how many channels the socket may listen to, more are left
	// out; 0 stands for Options.MaxChannels. The Handler may set it before it accepts
	// the socket.
	MaxChannels int
	// Prefix is as in Response. The Handler may set it before it accepts the socket.
	Prefix string

	push func(*Reply) bool // set by the engine
}

// Push does what a Reply asks for without having been asked: for origins that
// speak by themselves. It waits until the socket has taken it, may be called from
// any goroutine, and reports false if the socket has ended. What a Push brings
// before the socket is accepted takes effect when it is.
func (s *Socket) Push(r *Reply) bool { return s.push(r) }

// Reply is a Handler's answer to events. Control takes effect first, then
// Events, then Then, and all before any later item reaches the socket.
type Reply struct {
	// Refuse, in the answer to EventOpen, is sent in place of the handshake.
	Refuse *Response
	// Header, in the answer to EventOpen, goes into the 101; see
	// Sec-WebSocket-Protocol there.
	Header http.Header
	// Events are sent to the client: EventText, EventBinary, EventPing,
	// EventPong; EventClose ends the socket, EventDisconnect drops it.
	Events []grip.Event
	// Control subscribes, unsubscribes, sets meta for filters and keep-alives,
	// delays messages, and detaches the Handler from the socket: it then gets
	// EventClose and no further call, while items go on to reach the client.
	Control []grip.Control
	// Then, if not nil, is the rest of the answer, for Handlers whose control
	// messages have a place among their events. Only its Events, Control and Then
	// count.
	Then *Reply
	// Rest is how many of the content bytes at the end of the batch were not
	// accepted; they are offered again in front of the next events. 0 accepts
	// everything. What is not accepted of a batch that ends with EventClose is lost.
	Rest int
	// Interval, if not 0, is after how long without a call an empty batch comes;
	// it stays until another one is given, and a negative one ends it.
	Interval time.Duration
	// Settle, in the answer to EventOpen, holds frames back for so long behind the
	// 101, or until the client's first frame: a proxy in between may drop what
	// comes in one piece with the 101 (grip.md, 7.7).
	Settle time.Duration
}
