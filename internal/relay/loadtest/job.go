package loadtest

import (
	"errors"
	"fmt"
	"time"
)

// Wire is how the load generator reaches a server.
type Wire string

// The wires a server can be measured over. TLS and HTTP2 do not verify the
// server's certificate: it is on loopback and the harness made it.
const (
	Plain Wire = ""
	TLS   Wire = "tls"
	HTTP2 Wire = "h2" // subscribers only; publishers use HTTP/1.1 over TLS
)

// Kind is what a job measures.
type Kind string

// The kinds of job.
const (
	// Traffic publishes to open subscribers for a while.
	Traffic Kind = ""
	// Connect opens subscribers as fast as the server lets it.
	Connect Kind = "connect"
	// Idle opens subscribers and leaves them alone; Harness.Idle uses it.
	Idle Kind = "idle"
)

// Limits and defaults of a job.
const (
	// MaxConns is the most connections of one job, half of the 20,000 files a process may hold.
	MaxConns = 10_000
	// DefaultLimit bounds opening, and what else a job does beside measuring and
	// waiting for the last messages.
	DefaultLimit = 10 * time.Second
	// slowDelivery is what one delivery takes a floor whose machine is busy: five
	// times what it takes alone.
	slowDelivery = 20 * time.Microsecond
	// brokerLimit bounds a job over MQTT: it opens with three exchanges in place of
	// one, and peers are slow at that.
	brokerLimit = time.Minute

	defaultPayload = 200
	defaultWindow  = 128
	defaultDepth   = 64
	defaultParal   = 64
	defaultWarmup  = 300 * time.Millisecond
	defaultMeasure = 1500 * time.Millisecond
	maxWindow      = 1 << 16
)

// Job is one measurement. Zero fields take the defaults named beside them.
type Job struct {
	Kind Kind
	// Subscribers is how many streams are open and read; with Connect, how many are opened.
	Subscribers int
	// Stalled is how many more streams are opened and never read again.
	Stalled int
	// Publishers is the number of publishing connections (1).
	Publishers int
	// Depth is how many publish requests of one connection may be unanswered (64);
	// 1 waits for each answer.
	Depth int
	// Window is how many messages, over all publishers, may be on their way (128);
	// 1 sends a message only after every subscriber has the one before.
	Window int
	// Rate, if not 0, paces the one publisher to so many messages per second;
	// latency then counts from the moment a message was due.
	Rate float64
	// Payload is the size of a message body in bytes (200), from 32 to 32512.
	Payload int
	// Parallel is how many connections may be opening at once (64).
	Parallel int
	// Drop closes each stream of a Connect job once it is ready.
	Drop bool
	// Warmup precedes the measured time (300 ms), Measure is its length (1.5 s);
	// it is stretched until at least one message has reached everybody in it.
	Warmup, Measure time.Duration
	// Limit ends a job with an error. The default is DefaultLimit, the time that is
	// measured, and some for each delivery that may be outstanding at the end of
	// it: with 10,000 subscribers these are a million.
	Limit time.Duration
}

// withDefaults fills in what was left zero.
func (j Job) withDefaults() Job {
	or(&j.Publishers, 1)
	or(&j.Depth, defaultDepth)
	or(&j.Window, defaultWindow)
	or(&j.Payload, defaultPayload)
	or(&j.Parallel, defaultParal)
	or(&j.Warmup, defaultWarmup)
	or(&j.Measure, defaultMeasure)
	or(&j.Limit, DefaultLimit+j.Warmup+j.Measure+time.Duration(j.Window*j.Subscribers)*slowDelivery)
	return j
}

func or[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// check refuses what the load generator cannot do.
func (j Job) check() error {
	switch {
	case j.Subscribers < 0 || j.Stalled < 0 || j.Subscribers+j.Stalled > MaxConns:
		return fmt.Errorf("%d subscribers and %d stalled ones: at most %d together", j.Subscribers, j.Stalled, MaxConns)
	case j.Publishers < 1 || j.Publishers > maxPublish:
		return fmt.Errorf("%d publishers: from 1 to %d", j.Publishers, maxPublish)
	case j.Payload < minPayload || j.Payload > maxPayload:
		return fmt.Errorf("payload of %d bytes: from %d to %d", j.Payload, minPayload, maxPayload)
	case j.Window < 1 || j.Window > maxWindow || j.Depth < 1:
		return fmt.Errorf("window %d, depth %d: from 1, the window to %d", j.Window, j.Depth, maxWindow)
	case j.Rate < 0 || j.Rate > 0 && j.Publishers != 1:
		return errors.New("a rate is for one publisher")
	case j.Kind == Traffic && j.Warmup+j.Measure >= j.Limit:
		return fmt.Errorf("warm-up and measuring take %v, the limit is %v", j.Warmup+j.Measure, j.Limit)
	}
	return nil
}

// target is the server as the load process needs to know it.
type target struct {
	Addr      string
	PIDs      []int
	Cores     []int // the server's and the load generator's, or the one they share
	Wire      Wire
	Status    int
	Ready     string
	Subscribe [][]byte
	Publish   [][]byte
	Answer    string
	MQTT      *MQTT
}

// subscribing is what stream i says, each part once the part before is answered.
func (t *target) subscribing(i int) [][]byte {
	if t.MQTT != nil {
		return t.MQTT.subscribing(i)
	}
	return [][]byte{t.Subscribe[i%len(t.Subscribe)]}
}

// publishing is what publisher i says before its first message.
func (t *target) publishing(i int) [][]byte {
	if t.publishesMQTT() {
		return t.MQTT.publishing(i)
	}
	return nil
}

func (t *target) publishesMQTT() bool { return t.MQTT != nil && len(t.Publish) == 0 }

// order is one job for the load process.
type order struct {
	Job    Job
	Target target
}

// Result is what one job measured.
type Result struct {
	// Wall is the measured time; Server and Load are the processor time the server
	// and the load generator used in it, over all their threads.
	Wall, Server, Load time.Duration
	// Cores is the time the cores of the two were busy in Wall, for whomever.
	Cores time.Duration
	// Delivered counts messages received by subscribers, Published messages every
	// subscriber has received, Opened streams that became ready, all in Wall.
	Delivered, Published, Opened uint64
	// Latency from a message's due time to its reception, over all subscribers.
	P50, P99, Max time.Duration
}

// PerCore is deliveries per second of the server's processor time.
func (r Result) PerCore() float64 { return per(r.Delivered, r.Server) }

// Rate is deliveries per second of wall time.
func (r Result) Rate() float64 { return per(r.Delivered, r.Wall) }

// PublishedPerCore is publishes per second of the server's processor time.
func (r Result) PublishedPerCore() float64 { return per(r.Published, r.Server) }

// PublishRate is publishes per second of wall time.
func (r Result) PublishRate() float64 { return per(r.Published, r.Wall) }

// OpenedPerCore is streams opened per second of the server's processor time.
func (r Result) OpenedPerCore() float64 { return per(r.Opened, r.Server) }

// PerDelivery is the server's processor time for one delivery, in microseconds.
func (r Result) PerDelivery() float64 {
	if r.Delivered == 0 {
		return 0
	}
	return float64(r.Server.Nanoseconds()) / 1e3 / float64(r.Delivered)
}

// P99Millis is the 99th percentile of latency in milliseconds.
func (r Result) P99Millis() float64 { return float64(r.P99) / 1e6 }

// ServerBusy and LoadBusy are shares of one core. A load generator near 1 while
// the server is below it means the load generator was the limit.
func (r Result) ServerBusy() float64 { return share(r.Server, r.Wall) }

// LoadBusy is the load generator's share of one core; see ServerBusy.
func (r Result) LoadBusy() float64 { return share(r.Load, r.Wall) }

// Others is how much of a core somebody else used, of those of the server and the
// load generator. Above some hundredths the figures are those of a disturbed run.
func (r Result) Others() float64 { return max(0, share(r.Cores-r.Server-r.Load, r.Wall)) }

func per(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
