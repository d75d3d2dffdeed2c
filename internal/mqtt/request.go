package mqtt

// Request is one packet from a client, cut out and not yet read. It holds the
// bytes behind it in the frame as well, because that is how far the app reads
// (Quirk Q2).
type Request struct {
	head byte
	// rest is everything behind the fixed header, and own how many of these
	// bytes are the packet's.
	rest []byte
	own  int
}

// NextRequest cuts the first packet off b, which must be the whole unread
// remainder of a frame: reading a packet may look beyond its end. n is the
// packet's size in bytes; the next one begins at b[n:]. n is 0, without an
// error, as long as the packet is incomplete. The error is a [Malformed] one.
//
// A Remaining Length with needless bytes is fine. How much of an incomplete
// packet to hold is for the caller to limit; [PacketSize] tells what to expect.
func NextRequest(b []byte) (r Request, n int, err error) {
	head, own, err := header(b)
	if err != nil || head == 0 || len(b)-head < own {
		return Request{}, 0, err
	}
	return Request{head: b[0], rest: b[head:], own: own}, head + own, nil
}

// Type is what the packet is. The app skips all types but CONNECT, PUBLISH,
// SUBSCRIBE, UNSUBSCRIBE, PINGREQ and DISCONNECT without looking inside, and a
// PINGREQ may have any body. Flags count in PUBLISH and SUBSCRIBE only.
func (r Request) Type() Type { return Type(r.head >> 4) }

// fields starts reading a packet that should be of type t.
func (r Request) fields(t Type) (f fields) {
	// Quirk Q2: the packet's own length is no bound for its fields.
	f.rest = r.rest
	if r.Type() != t {
		f.fail(errOther)
	}
	return f
}

// foreign is how many of the frame's last bytes are not the packet's.
func (r Request) foreign() int { return len(r.rest) - r.own }

// skipProperties passes over a property block unread.
func (f *fields) skipProperties() { f.take(f.length()) }

// Connect is what the app takes from a CONNECT: clean start, keep alive, will,
// user name and properties mean nothing to it.
type Connect struct {
	// Version is the protocol version. Of others than 5 nothing else is read.
	Version byte
	// ClientID is UTF-8 and may be empty.
	ClientID []byte
	// Password is UTF-8; nil if none was sent.
	Password Secret
}

// Flags of a CONNECT (MQTT 5, 3.1.2.3).
const (
	flagCleanStart = 0x02
	flagWill       = 0x04
	flagPassword   = 0x40
	flagUserName   = 0x80
)

// Connect reads a CONNECT. The error is a [Malformed] one; another protocol name
// than MQTT, such as the MQIsdp of version 3.1, is among the reasons. Another
// version than 5 is not, so that the caller can refuse it in its own form.
func (r Request) Connect() (Connect, error) {
	f := r.fields(TypeConnect)
	if name := f.text(); f.bad == "" && string(name) != "MQTT" {
		f.fail("the protocol is not MQTT")
	}
	c := Connect{Version: f.octet()}
	if c.Version == version5 {
		f.connect5(&c)
	}
	return c, f.err(TypeConnect)
}

func (f *fields) connect5(c *Connect) {
	flags := f.octet()
	f.two() // the keep alive is not enforced (Quirk Q29)
	f.skipProperties()
	c.ClientID = f.text()
	if flags&flagWill != 0 {
		f.skipProperties()
		f.text()
		f.binary()
	}
	if flags&flagUserName != 0 {
		f.text()
	}
	if flags&flagPassword != 0 {
		c.Password = f.text()
	}
}

// Options are the wishes that go with a filter. The zero value asks for QoS 0,
// one's own messages, the retain flag on none but the first, and the stored one.
type Options struct {
	// QoS is the most the subscriber takes, 0 to 3. The app grants 0 always.
	QoS byte
	// NoLocal asks to leave out messages with the subscriber's own client id.
	NoLocal bool
	// RetainAsPublished asks to keep the retain flag of later messages.
	RetainAsPublished bool
	// RetainHandling 0 asks for the stored message at once. 1 asks for it with a
	// new subscription only, which the app never does (Quirk Q22), 2 for none,
	// and 3, which the standard forbids, is as good as 2.
	RetainHandling byte
}

func optionsOf(b byte) Options {
	return Options{QoS: b & 3, NoLocal: b&4 != 0, RetainAsPublished: b&8 != 0, RetainHandling: b >> 4 & 3}
}

// octet is the byte that optionsOf reads; what does not fit in is cut off.
func (o Options) octet() byte {
	b := o.QoS&3 | o.RetainHandling&3<<4
	if o.NoLocal {
		b |= 4
	}
	if o.RetainAsPublished {
		b |= 8
	}
	return b
}

// Subscribe is what the app takes from a SUBSCRIBE. The properties, with the
// subscription identifier, are passed over (Quirk Q30).
type Subscribe struct {
	// PacketID goes into the answer; zero is accepted.
	PacketID uint16
	// Filter is the first one, as bytes that are UTF-8. It may be empty.
	Filter []byte
	// Options go with the first filter.
	Options Options
	// More is how many filters follow the first within the packet. They are not
	// read and get no reason code (Quirk Q3); it is for a warning.
	More int
}

// Subscribe reads a SUBSCRIBE. The error is a [Malformed] one; other flags than
// the standard's are among the reasons, and so is a packet without a filter.
func (r Request) Subscribe() (Subscribe, error) {
	f := r.fields(TypeSubscribe)
	if f.bad == "" && r.head != TypeSubscribe.head(flagsRequired) {
		f.fail("the flags of a SUBSCRIBE are 2")
	}
	s := Subscribe{PacketID: f.two()}
	f.skipProperties()
	s.Filter = f.text()
	s.Options = optionsOf(f.octet())
	s.More = r.filtersIn(f.rest, 1)
	return s, f.err(TypeSubscribe)
}

// Unsubscribe is what the app takes from an UNSUBSCRIBE.
type Unsubscribe struct {
	// PacketID goes into the answer; zero is accepted.
	PacketID uint16
	// Filter is the first one, as bytes that are UTF-8. It may be empty.
	Filter []byte
	// More is how many filters follow the first within the packet; they are not
	// read (Quirk Q3).
	More int
}

// Unsubscribe reads an UNSUBSCRIBE, whatever its flags. The error is a
// [Malformed] one.
func (r Request) Unsubscribe() (Unsubscribe, error) {
	f := r.fields(TypeUnsubscribe)
	u := Unsubscribe{PacketID: f.two()}
	f.skipProperties()
	u.Filter = f.text()
	u.More = r.filtersIn(f.rest, 0)
	return u, f.err(TypeUnsubscribe)
}

// filtersIn counts the whole filters, each with tail bytes behind it, in what of
// rest belongs to the packet.
func (r Request) filtersIn(rest []byte, tail int) int {
	n := 0
	f := fields{rest: rest[:max(0, len(rest)-r.foreign())]}
	for len(f.rest) > 0 {
		f.binary()
		f.take(tail)
		if f.bad == "" {
			n++
		}
	}
	return n
}

// Publish is what the app takes from a PUBLISH. Of the properties only the
// expiry counts (Quirk Q30); the others are read over, topic alias included.
type Publish struct {
	// Topic is UTF-8 and may be empty, which is how topic aliases arrive.
	Topic []byte
	// Payload is everything behind the properties, to the end of the frame.
	Payload []byte
	// Foreign is how many of the payload's last bytes are not the packet's but
	// those of the packets behind it (Quirk Q2). More than zero deserves a warning.
	Foreign int
	// QoS is 0 to 3. With more than 0 the other fields are guesswork: the packet
	// identifier is not skipped but taken for the properties' length (Quirk Q24).
	QoS byte
	// Retain asks to store the message.
	Retain bool
	// Expiry is the time to live in seconds; without Expires there is none.
	Expiry  uint32
	Expires bool
}

// Publish reads a PUBLISH. The error is a [Malformed] one; an unknown property
// is among the reasons. Of repeated properties the last counts.
func (r Request) Publish() (p Publish, err error) {
	f := r.fields(TypePublish)
	p.QoS, p.Retain = r.head>>1&3, r.head&flagRetain != 0
	p.Topic = f.text()
	// Quirk Q24: with QoS above 0 the first byte of the packet identifier is what
	// is read as the properties' length here.
	if n := f.length(); n > 0 {
		p.Expiry, p.Expires = f.expiry(n)
	}
	p.Payload = f.rest
	p.Foreign = min(len(p.Payload), r.foreign())
	return p, f.err(TypePublish)
}

// expiry reads a PUBLISH's property block of n bytes for the message expiry
// interval.
func (f *fields) expiry(n int) (seconds uint32, ok bool) {
	in := fields{rest: f.take(n)}
	for len(in.rest) > 0 {
		if id, _, v := in.property(TypePublish); id == MessageExpiry {
			seconds, ok = v.number, true
		}
	}
	if in.bad != "" {
		f.fail(in.bad)
	}
	return seconds, ok
}

// Disconnect reads a DISCONNECT, of which only the outcome counts: nil if the
// app accepts it, else a [Malformed] error. The first byte of the body is taken
// for a length that must fit into what follows (Quirk Q26), so E0 00 on its own
// and a reason such as 04 are malformed, and E0 02 00 00 is what clients send.
func (r Request) Disconnect() error {
	f := r.fields(TypeDisconnect)
	f.skipProperties()
	return f.err(TypeDisconnect)
}
