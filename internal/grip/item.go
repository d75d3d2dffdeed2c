package grip

// Action is what a published format asks of the sessions it reaches.
type Action uint8

// The actions of section 3.3 of the publish API. A format ignores those that
// are not its own.
const (
	Send    Action = iota // write Content
	Hint                  // streams: fetch the next link; long-polls: ask again
	Close                 // end the stream or socket
	Refresh               // sockets: ask the origin now
)

// Item is one published item. It must not change once published.
type Item struct {
	Channel    string
	ID, PrevID string
	NoSeq      bool
	// Meta is the publisher's meta, for filters.
	Meta map[string]string

	HTTPResponse *HTTPResponse
	HTTPStream   *HTTPStream
	WSMessage    *WSMessage
}

// HTTPStream is the http-stream format: bytes for held streams.
type HTTPStream struct {
	Action  Action
	Content []byte
	// ContentFilters, if not nil, must equal the subscription's content filters.
	ContentFilters []string
}

// HTTPResponse is the http-response format: the answer to held long-polls.
type HTTPResponse struct {
	Action         Action
	Code           int
	Reason         string
	Header         [][2]string
	Body           []byte
	BodyPatch      []byte // JSON Patch, raw; nil if Body holds
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
	// Code and Reason belong to Close; 0 stands for 1000.
	Code           int
	Reason         string
	ContentFilters []string
}
