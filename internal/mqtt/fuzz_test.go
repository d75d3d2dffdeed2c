package mqtt

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// seeds are what both decoders start from: all that the encoders write, and the
// odd ones.
func seeds(f *testing.F) {
	for _, w := range written() {
		f.Add(packet(w.want))
	}
	for _, odd := range []string{
		"30 09 00 04 74 65 73 74 00 68 69 C0 00", "E0 00", "E0 02 80 00", "E0 0A 9C 08 1F 00 01 78 1C 00 01 79",
		"82 11 00 01 00 00 04 74 65 73 74 00 00 04 61 62 63 64 00", "82 0C 00 01 02 0B 05 00 04 74 65 73 74 2D",
		"10 1D" + name + "05 C6 00 3C 00 00 02 63 31 01 99 00 01 77 00 01 FF 00 01 75 00 01 70",
		"30 24 00 01 61 1F 01 07 03 00 01 63 08 00 01 72 09 00 01 FF 0B 05 23 00 00 26 00 01 6B 00 01 76 02 00 00 00 09 68",
		"3A 0D 00 01 61 01 02 07 26 00 01 6B 00 01 76 68", "B0 05 00 02 00 00 11", "20 03 01 00 00", "40 02 00 01",
		"30 FF FF FF FF 01", "30 FF FF FF 7F", "D0 80 00", "A2 09 00 02 00 00 01 61 00 01 62",
	} {
		f.Add(packet(odd))
	}
}

// The app's way of reading is no bijection, so what NextRequest accepts is not
// what gets written again: fields reach into other packets, lengths have
// needless bytes, properties, wills and further filters are passed over. What
// must hold is that the meaning survives: written anew and read again it is the
// same, and nothing is left over.
func FuzzRequest(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		for rest := in; len(rest) > 0; {
			r, n, err := NextRequest(rest)
			if err != nil || n == 0 {
				return
			}
			if size, err := PacketSize(rest); n > len(rest) || n != size || err != nil {
				t.Fatalf("% X: a packet of %d bytes in %d; its size is said to be %d, %v", in, n, len(rest), size, err)
			}
			again(t, r, rest)
			rest = rest[n:]
		}
	})
}

// again writes what r says and reads that.
func again(t *testing.T, r Request, in []byte) {
	switch r.Type() {
	case TypeConnect:
		if c, err := r.Connect(); err == nil && c.Version == version5 {
			out, err := AppendConnect(nil, Login{ClientID: string(c.ClientID), Password: c.Password})
			same(t, c, out, err, Request.Connect)
		}
	case TypeSubscribe:
		if s, err := r.Subscribe(); err == nil {
			out, err := AppendSubscribe(nil, s.PacketID, pubsub.Topic(s.Filter), s.Options)
			s.More = 0
			same(t, s, out, err, Request.Subscribe)
		}
	case TypeUnsubscribe:
		if u, err := r.Unsubscribe(); err == nil {
			out, err := AppendUnsubscribe(nil, u.PacketID, pubsub.Topic(u.Filter))
			u.More = 0
			same(t, u, out, err, Request.Unsubscribe)
		}
	case TypePublish:
		publishAgain(t, r, in)
	case TypeDisconnect:
		_ = r.Disconnect() // says nothing that could be written
	}
}

func publishAgain(t *testing.T, r Request, in []byte) {
	p, err := r.Publish()
	if err != nil {
		return
	}
	if !bytes.HasSuffix(in, p.Payload) {
		t.Errorf("% X: the payload is % X", in, p.Payload)
	}
	out, err := AppendPublish(nil, Message{Topic: pubsub.Topic(p.Topic), Payload: p.Payload, Retain: p.Retain, Expiry: p.Expiry, Expires: p.Expires})
	p.QoS, p.Foreign = 0, 0
	same(t, p, out, err, Request.Publish)
}

// same reads out, which is one packet, and compares what it says.
func same[P any](t *testing.T, want P, out []byte, err error, read func(Request) (P, error)) {
	if err != nil {
		t.Fatalf("%+v is not written: %v", want, err)
	}
	r, n, err := NextRequest(out)
	if err != nil || n != len(out) {
		t.Fatalf("%+v is written as % X: %d, %v", want, out, n, err)
	}
	if got, err := read(r); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v is written as % X and read as %+v, %v", want, out, got, err)
	}
}

// What NextAnswer and the readers behind it accept is written again as the same
// bytes, with one exception: a DISCONNECT may leave out its code and the length
// of its properties, and has one form when written. It then reads the same.
func FuzzAnswer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 20
		a, n, err := NextAnswer(in, limit)
		if err != nil || n == 0 {
			return
		}
		if n > len(in) || n > limit {
			t.Fatalf("% X: a packet of %d bytes", in, n)
		}
		out, err := rewrite(a)
		if err != nil || bytes.Equal(out, in[:n]) {
			return
		}
		if a.Type() != TypeDisconnect {
			t.Fatalf("accepted % X, wrote % X", in[:n], out)
		}
		b, _, err := NextAnswer(out, limit)
		if err != nil {
			t.Fatal(err)
		}
		was, _ := a.Disconnect()
		if is, err := b.Disconnect(); err != nil || is.Code != was.Code || !bytes.Equal(is.Properties.block, was.Properties.block) {
			t.Errorf("% X reads as %+v, then % X as %+v, %v", in[:n], was, out, is, err)
		}
	})
}

// rewrite reads a packet and writes it. Of those that are not read nothing is
// lost, so they are their own bytes.
func rewrite(a Answer) ([]byte, error) {
	switch a.Type() {
	case TypeConnack:
		c, err := a.Connack()
		return c.Append(nil), err
	case TypePublish:
		d, err := a.Publish()
		return d.Append(nil), err
	case TypeSuback, TypeUnsuback:
		k, err := a.Ack()
		return k.Append(nil), err
	case TypeDisconnect:
		d, err := a.Disconnect()
		return d.Append(nil), err
	default:
		return append(appendHeader(nil, a.head, len(a.body)), a.body...), nil
	}
}
