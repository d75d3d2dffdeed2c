package mqtt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// must turns an encoder that can fail into one of the tables below.
func must(write func([]byte) ([]byte, error)) func([]byte) []byte {
	return func(dst []byte) []byte {
		dst, err := write(dst)
		if err != nil {
			panic(err)
		}
		return dst
	}
}

func publish(m Message) func([]byte) []byte {
	return must(func(dst []byte) ([]byte, error) { return AppendPublish(dst, m) })
}

func subscribe(o Options) func([]byte) []byte {
	return must(func(dst []byte) ([]byte, error) { return AppendSubscribe(dst, 1, "test", o) })
}

func connect(l Login) func([]byte) []byte {
	return must(func(dst []byte) ([]byte, error) { return AppendConnect(dst, l) })
}

// written are the packets of the contract that the encoders write, to the byte.
func written() []struct {
	name  string
	write func([]byte) []byte
	want  string
} {
	hi := []byte("hi")
	return []struct {
		name  string
		write func([]byte) []byte
		want  string
	}{
		{"7.3 74 CONNACK", func(b []byte) []byte { return AppendConnack(b, Success) }, "20 10 00 00 0D 24 00 25 01 27 00 00 80 00 28 00 2A 00"},
		{"7.3 76 already connected", func(b []byte) []byte { return AppendConnack(b, ProtocolError) }, "20 0B 00 82 08 24 00 25 01 28 00 2A 00"},
		{"7.3 75 version above 5", func(b []byte) []byte { return AppendConnack(b, UnsupportedProtocolVersion) }, "20 0B 00 84 08 24 00 25 01 28 00 2A 00"},
		{"7.3 75 version below 5", AppendConnack3, "20 02 00 01"},
		{"7.4 granted", func(b []byte) []byte { return AppendSuback(b, 1, Success) }, "90 04 00 01 00 00"},
		{"7.4 88 unreadable slot", func(b []byte) []byte { return AppendSuback(b, 1, UnspecifiedError) }, "90 04 00 01 00 80"},
		{"7.4 78 not authorized", func(b []byte) []byte { return AppendSuback(b, 0x0102, NotAuthorized) }, "90 04 01 02 00 87"},
		{"7.4 78 wildcard", func(b []byte) []byte { return AppendSuback(b, 1, WildcardSubscriptionsNotSupported) }, "90 04 00 01 00 A2"},
		{"7.5 87 unsubscribed", func(b []byte) []byte { return AppendUnsuback(b, 2, Success) }, "90 04 00 02 00 00"},
		{"7.5 87 not subscribed", func(b []byte) []byte { return AppendUnsuback(b, 2, NoSubscriptionExisted) }, "90 04 00 02 00 11"},
		{"7.6 89 QoS above 0", func(b []byte) []byte { return AppendDisconnect(b, QoSNotSupported) }, "E0 01 9B"},
		{"7.8 106 sync failed", func(b []byte) []byte { return AppendDisconnect(b, UnspecifiedError) }, "E0 01 80"},
		{"7.7 99 PINGRESP", AppendPingresp, "D0 00"},
		{"7.7 PINGREQ", AppendPingreq, "C0 00"},
		{"7.9 DISCONNECT", AppendGoodbye, "E0 02 00 00"},
		{"7.11 PUBLISH", publish(Message{Topic: "test", Payload: hi}), "30 09 00 04 74 65 73 74 00 68 69"},
		{"9 retained", publish(Message{Topic: "test", Payload: []byte("hello"), Retain: true}), "31 0C 00 04 74 65 73 74 00 68 65 6C 6C 6F"},
		{"7.4 84 retained, 59 s left", publish(Message{Topic: "test", Payload: hi, Retain: true, Expiry: 59, Expires: true}),
			"31 0E 00 04 74 65 73 74 05 02 00 00 00 3B 68 69"},
		{"95 no second left", publish(Message{Topic: "test", Payload: hi, Expires: true}), "30 0E 00 04 74 65 73 74 05 02 00 00 00 00 68 69"},
		{"expiry without Expires", publish(Message{Topic: "test", Payload: hi, Expiry: 9}), "30 09 00 04 74 65 73 74 00 68 69"},
		{"empty payload", publish(Message{Topic: "a"}), "30 04 00 01 61 00"},
		{"13 89 QoS 1", publish(Message{Topic: "test", Payload: hi, PacketID: 1}), "32 0B 00 04 74 65 73 74 00 01 00 68 69"},
		{"13 89 QoS 1, large id", publish(Message{Topic: "test", Payload: hi, PacketID: 0x0102}), "32 0B 00 04 74 65 73 74 01 02 00 68 69"},
		{"13 SUBSCRIBE", subscribe(Options{}), "82 0A 00 01 00 00 04 74 65 73 74 00"},
		{"no-local", subscribe(Options{NoLocal: true}), "82 0A 00 01 00 00 04 74 65 73 74 04"},
		{"13 options 2D", subscribe(Options{QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}), "82 0A 00 01 00 00 04 74 65 73 74 2D"},
		{"options out of range are cut", subscribe(Options{QoS: 4, RetainHandling: 5}), "82 0A 00 01 00 00 04 74 65 73 74 10"},
		{"13 UNSUBSCRIBE", must(func(b []byte) ([]byte, error) { return AppendUnsubscribe(b, 2, "test") }), "A2 09 00 02 00 00 04 74 65 73 74"},
		{"13 CONNECT", connect(Login{ClientID: "c1", KeepAlive: 60, Password: Secret(token)}),
			"10 D0 01 00 04 4D 51 54 54 05 42 00 3C 00 00 02 63 31 00 BF" + hex.EncodeToString([]byte(token))},
		{"CONNECT without a password", connect(Login{ClientID: "c1", KeepAlive: 60}), "10 0F 00 04 4D 51 54 54 05 02 00 3C 00 00 02 63 31"},
		{"CONNECT with an empty password", connect(Login{Password: Secret{}}), "10 0F 00 04 4D 51 54 54 05 42 00 00 00 00 00 00 00"},
	}
}

func TestWritten(t *testing.T) {
	for _, c := range written() {
		t.Run(c.name, func(t *testing.T) {
			want := append([]byte("before"), packet(c.want)...)
			if got := c.write([]byte("before")); !bytes.Equal(got, want) {
				t.Errorf("got  % X\nwant % X", got, want)
			}
		})
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1024)
	for _, c := range written() {
		if n := testing.AllocsPerRun(100, func() { dst = c.write(dst[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { AppendPublish(nil, Message{Topic: "test", Payload: dst[:1000]}) }); n > 2 {
		// One, and another in a build for the race detector, which makes what Grow appends.
		t.Errorf("a PUBLISH without a buffer: %v allocations", n)
	}
}

// The Remaining Length takes another byte at each of these sizes.
func TestLengths(t *testing.T) {
	for _, n := range []int{0, 127, 128, 16383, 16384, 2097151, 2097152, maxRemaining} {
		b := appendLength(nil, n)
		v, size, bad := readLength(b)
		if v != n || size != len(b) || bad != "" || lengthSize(n) != len(b) {
			t.Errorf("%d is written as % X, read as %d of %d bytes, %q; its size is said to be %d", n, b, v, size, bad, lengthSize(n))
		}
	}
}

func TestTooLong(t *testing.T) {
	text := strings.Repeat("x", MaxText+1)
	before := []byte("before")
	for _, c := range []struct {
		name  string
		write func(text string) ([]byte, error)
		want  string
	}{
		{"client id", func(s string) ([]byte, error) { return AppendConnect(before, Login{ClientID: s}) },
			"write CONNECT: client id of 65536 bytes: too long for a packet"},
		{"password", func(s string) ([]byte, error) { return AppendConnect(before, Login{Password: Secret(s)}) },
			"write CONNECT: password of 65536 bytes: too long for a packet"},
		{"subscription", func(s string) ([]byte, error) { return AppendSubscribe(before, 1, pubsub.Topic(s), Options{}) },
			"write SUBSCRIBE: filter of 65536 bytes: too long for a packet"},
		{"unsubscription", func(s string) ([]byte, error) { return AppendUnsubscribe(before, 1, pubsub.Topic(s)) },
			"write UNSUBSCRIBE: filter of 65536 bytes: too long for a packet"},
		{"topic", func(s string) ([]byte, error) { return AppendPublish(before, Message{Topic: pubsub.Topic(s)}) },
			"write PUBLISH: topic of 65536 bytes: too long for a packet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.write(text)
			if string(got) != "before" || !errors.Is(err, ErrTooLong) || err.Error() != c.want {
				t.Errorf("wrote %d bytes, %v", len(got), err)
			}
			if got, err := c.write(text[1:]); len(got) <= MaxText || err != nil {
				t.Errorf("%d bytes are refused: %v", MaxText, err)
			}
		})
	}
}

// A payload that large is not worth its memory in a test, so this asks what
// AppendPublish asks.
func TestPublishBeyondTheFormat(t *testing.T) {
	if err := fitsPacket(maxRemaining); err != nil {
		t.Errorf("the largest packet: %v", err)
	}
	err := fitsPacket(maxRemaining + 1)
	if !errors.Is(err, ErrTooLong) || err.Error() != "268435456 bytes: too long for a packet" {
		t.Errorf("a byte more: %v", err)
	}
	if _, n := (Message{Topic: "abc", Payload: make([]byte, 100), PacketID: 1, Expires: true}).outline(); n != 2+3+2+1+5+100 {
		t.Errorf("a packet of %d bytes behind its header", n)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	r, _, err := NextRequest(connect(Login{ClientID: "c1", Password: Secret("hunter2")})(nil))
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Connect()
	if err != nil || string(c.Password) != "hunter2" {
		t.Fatalf("password %q, %v", []byte(c.Password), err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", c.Password)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", c.Password, "c", c)
	text := fmt.Sprintf("%v %+v %#v %s %x %d %q", c, c, c, c.Password, c.Password, c.Password, c.Password) + string(asJSON) + log.String()
	for _, leak := range []string{"hunter2", hex.EncodeToString([]byte("hunter2")), "104 117", "aHVudGVy", "0x68"} {
		if strings.Contains(text, leak) {
			t.Errorf("%q is in %s", leak, text)
		}
	}
	if n := strings.Count(text, "[password]"); n != 11 {
		t.Errorf("%d of 11 places say that there is a password: %s", n, text)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name fmt.Stringer
		want string
	}{
		{TypeConnect, "CONNECT"}, {TypeSubscribe, "SUBSCRIBE"}, {TypeAuth, "AUTH"}, {Type(0), "type 0"}, {Type(16), "type 16"},
		{Success, "success"}, {NotAuthorized, "not authorized"}, {WildcardSubscriptionsNotSupported, "wildcard subscriptions not supported"},
		{Reason(3), "reason 0x03"}, {Reason(0xA3), "reason 0xA3"}, {Reason(0xFF), "reason 0xFF"},
	} {
		if got := c.name.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestEveryReasonHasItsOwnName(t *testing.T) {
	var names []string
	for r := UnspecifiedError; r <= WildcardSubscriptionsNotSupported; r++ {
		if name := r.String(); strings.HasPrefix(name, "reason") || slices.Contains(names, name) || !r.Failure() {
			t.Errorf("0x%02X is called %q", byte(r), name)
		}
		names = append(names, r.String())
	}
}
