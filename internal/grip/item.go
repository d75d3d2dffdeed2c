package grip

// Action is what a published format asks of the sessions it reaches.
type Action uint8

// The actions of the publish API. A format accepts all of them and ignores
// those that are not its own.
const (
	Send    Action = iota // write Content
	Hint                  // streams: fetch the next link; long-polls: ask again
	Close                 // end the stream or socket
	Refresh               // sockets: ask the origin now
)

// Item is one published item. It must not change once published.
type Item struct {
	// Channel is compared byte for byte; "" is a channel like any other.
	Channel string
	// ID and PrevID, if not empty, place the item in its channel's sequence.
	ID, PrevID string
	// NoSeq delivers at once, past the sequencer.
	NoSeq bool
	// Meta is the publisher's meta, for filters.
	Meta map[string]string

	// The formats; sessions of a kind whose format is nil ignore the item.
	HTTPResponse *HTTPResponse
	HTTPStream   *HTTPStream
	WSMessage    *WSMessage
}

// HTTPStream is the http-stream format: bytes for held streams.
type HTTPStream struct {
	Action  Action
	Content []byte // written as it is, no framing added
	// ContentFilters, if not nil, must equal the subscription's content filters
	// (see ContentFiltersMatch).
	ContentFilters []string
}

// HTTPResponse is the http-response format: the answer to held long-polls.
type HTTPResponse struct {
	Action Action
	// Code is the status, up to 999; 0 stands for 200. An empty Reason stands
	// for StatusReason(Code).
	Code   int
	Reason string
	// Header replaces same-named headers of the held response. GRIP's own are
	// not removed here.
	Header [][2]string
	Body   []byte
	// BodyPatch, if not nil, is a JSON Patch for the held response's body (see
	// ApplyPatch) and takes the place of Body.
	BodyPatch []byte
	// ContentFilters is as in HTTPStream.
	ContentFilters []string
}

// MessageType is the kind of WebSocket message a ws-message becomes.
type MessageType uint8

// The message types of ws-message.
const (
	Text MessageType = iota
	Binary
	Ping
	Pong
)

// WSMessage is the ws-message format: a message for WebSockets.
type WSMessage struct {
	Action  Action
	Type    MessageType
	Content []byte
	// Code and Reason belong to Close; 0 stands for 1000. Code may be one that
	// must not appear on the wire (see LegalClose).
	Code   int
	Reason string
	// ContentFilters is as in HTTPStream.
	ContentFilters []string
}

// String is the type as the wire spells it.
func (t MessageType) String() string {
	switch t {
	case Binary:
		return "binary"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	}
	return "text"
}

// parseMessageType reads what String writes.
func parseMessageType(s string) (t MessageType, ok bool) {
	switch s {
	case "text":
		return Text, true
	case "binary":
		return Binary, true
	case "ping":
		return Ping, true
	case "pong":
		return Pong, true
	}
	return Text, false
}

// String is the action as the wire spells it.
func (a Action) String() string {
	switch a {
	case Hint:
		return "hint"
	case Close:
		return "close"
	case Refresh:
		return "refresh"
	}
	return "send"
}

// parseAction reads what String writes.
func parseAction(s string) (a Action, ok bool) {
	switch s {
	case "send":
		return Send, true
	case "hint":
		return Hint, true
	case "close":
		return Close, true
	case "refresh":
		return Refresh, true
	}
	return Send, false
}
