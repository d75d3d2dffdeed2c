package mqtt

import (
	"bytes"
	"testing"
)

// message is a PUBLISH with a payload of 200 bytes, the size all figures of the
// project are for.
func message() []byte {
	return publish(Message{Topic: "orders/eu", Payload: bytes.Repeat([]byte{'x'}, 200)})(nil)
}

// Reading allocates nothing, for whatever packet the contract has an example of.
func TestReadingAllocatesNothing(t *testing.T) {
	for _, w := range written() {
		in := packet(w.want)
		run := func() {
			if r, n, _ := NextRequest(in); n > 0 {
				readRequest(r)
			}
		}
		if a, n, err := NextAnswer(in, MaxPacket); err == nil && n > 0 {
			run = func() {
				a, _, _ = NextAnswer(in, MaxPacket)
				readAnswer(a)
			}
		}
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", w.name, n)
		}
	}
}

func readRequest(r Request) {
	switch r.Type() {
	case TypeConnect:
		r.Connect()
	case TypeSubscribe:
		r.Subscribe()
	case TypeUnsubscribe:
		r.Unsubscribe()
	case TypePublish:
		if r.head&6 == 0 { // with QoS above 0 the packet identifier makes most of them errors
			r.Publish()
		}
	case TypeDisconnect:
		r.Disconnect()
	}
}

func readAnswer(a Answer) {
	switch a.Type() {
	case TypeConnack:
		c, _ := a.Connack()
		c.Properties.Number(MaximumPacketSize)
	case TypePublish:
		d, _ := a.Publish()
		d.Properties.Number(MessageExpiry)
	case TypeSuback:
		a.Ack()
	case TypeDisconnect:
		a.Disconnect()
	}
}

// However long a packet claims to be or is, refusing it costs an error of either
// decoder and no more. The pin has room for the race detector's own.
func TestRefusingAllocatesLittle(t *testing.T) {
	many := append(packet("90 E7 F9 01 00 01 00"), bytes.Repeat([]byte{3}, 31972)...)
	for _, c := range []struct {
		name string
		in   []byte
		most float64
	}{
		{"256 MiB announced", packet("30 FF FF FF 7F 00 01 61 00"), 1},
		{"a property length of 256 MiB", packet("30 08 00 01 61 FF FF FF 7F 68"), 20},
		{"an unknown property", packet("30 08 00 01 61 02 99 00 68 69"), 20},
		{"31972 wrong codes", many, 20},
	} {
		n := testing.AllocsPerRun(100, func() {
			if r, n, _ := NextRequest(c.in); n > 0 {
				readRequest(r)
			}
			if a, n, _ := NextAnswer(c.in, MaxPacket); n > 0 {
				readAnswer(a)
			}
		})
		if n > c.most {
			t.Errorf("%s: %v allocations, more than %v", c.name, n, c.most)
		}
	}
}

// BenchmarkPublish reads a publish of a client and writes the packet that all
// subscribers get.
func BenchmarkPublish(b *testing.B) {
	in, out := message(), make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		r, _, err := NextRequest(in)
		if err != nil {
			b.Fatal(err)
		}
		p, err := r.Publish()
		if err != nil {
			b.Fatal(err)
		}
		if out, err = AppendPublish(out[:0], Message{Topic: "orders/eu", Payload: p.Payload}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDelivery(b *testing.B) {
	in := message()
	b.ReportAllocs()
	for b.Loop() {
		a, _, err := NextAnswer(in, MaxPacket)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = a.Publish(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConnect(b *testing.B) {
	in := connect(Login{ClientID: "c1", Password: Secret(token), KeepAlive: 60})(nil)
	b.ReportAllocs()
	for b.Loop() {
		r, _, err := NextRequest(in)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = r.Connect(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubscribe(b *testing.B) {
	in, out := packet("82 0A 00 01 00 00 04 74 65 73 74 00"), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		r, _, err := NextRequest(in)
		if err != nil {
			b.Fatal(err)
		}
		s, err := r.Subscribe()
		if err != nil {
			b.Fatal(err)
		}
		out = AppendSuback(out[:0], s.PacketID, Success)
	}
}
