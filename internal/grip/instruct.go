package grip

import "time"

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
	// Timeout ends a response hold.
	Timeout   time.Duration
	KeepAlive KeepAlive
	// Status and Reason replace those of the response; 0 keeps them.
	Status int
	Reason string
	// Meta is the subscription's meta, for filters.
	Meta map[string]string
	// Next, if its URI is not empty, is fetched to continue the stream.
	Next Link
	// Gone, if not empty, is told when the session ends.
	Gone string
	// Expose, if not empty, names the only response headers the client may see.
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

// Last is one Grip-Last value: the id the reader of a channel has seen last.
type Last struct {
	Channel, ID string
}
