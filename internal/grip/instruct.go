package grip

import (
	"net/http"
	"time"
)

// Mode tells what becomes of a connection once its response has been read.
type Mode uint8

// The hold modes. None sends the response and is done with it.
const (
	None     Mode = iota
	Response      // long-poll: nothing is sent until a publish or the timeout
	Stream        // the response is sent and stays open for published content
)

// Instruct is what an origin asks of the proxy: Grip-* headers or an
// application/grip-instruct body, both in one form.
type Instruct struct {
	Hold     Mode
	Channels []Channel
	// Timeout ends a response hold. Parsed ones are whole seconds, 5 at least;
	// 0 stands for 55 s.
	Timeout   time.Duration
	KeepAlive KeepAlive
	// Status and Reason replace those of the response; 0 keeps them. Status may
	// be any number up to 999, also one below 100 that no HTTP server can send.
	// An empty Reason stands for StatusReason(Status).
	Status int
	Reason string
	// Meta is the subscription's meta, for filters.
	Meta map[string]string
	// Next, if its URI is not empty, is fetched to continue the stream.
	Next Link
	// Gone, if not empty, is told when the session ends.
	Gone string
	// Expose, if not empty, names the only response headers the client may see,
	// as the origin spelled them.
	Expose []string
}

// Channel is one subscription.
type Channel struct {
	Name string
	// PrevID, if not empty, is the id of the last item the reader has seen.
	PrevID  string
	Filters []string
}

// KeepAlive is content written when a stream has been quiet.
type KeepAlive struct {
	// Data is what is written; empty means no keep-alive.
	Data []byte
	// Timeout is the quiet time, of which a random part of up to one second is cut.
	// Parsed ones are whole seconds, 1 at least; 0 stands for 55 s.
	Timeout time.Duration
	// Interval fires at the timeout whatever was written meanwhile.
	Interval bool
}

// Link is where a stream continues.
type Link struct {
	URI string
	// Timeout is how long a stream may go without activity on each of its
	// channels before the link is fetched; 0 stands for 120 s.
	Timeout time.Duration
}

// What absent timeouts stand for.
const (
	DefaultTimeout = 55 * time.Second  // of response holds and keep-alives
	DefaultNext    = 120 * time.Second // of next links
)

// The least that is honoured. A next link of 0 would refetch without pause.
const (
	minTimeout   = 5 * time.Second
	minKeepAlive = time.Second
	minNext      = time.Second
)

// maxStatus bounds Grip-Status and the code of a published response.
const maxStatus = 999

// StatusReason is the reason phrase of a status sent without one.
func StatusReason(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Undefined Reason"
}

// finish applies what holds for headers and JSON alike once both are read.
func (in *Instruct) finish() {
	if len(in.Channels) > MaxChannels {
		in.Channels = in.Channels[:MaxChannels]
	}
	if in.Hold == Response && in.Timeout == 0 {
		in.Timeout = DefaultTimeout
	}
}
