package mqtt
import ("testing"; "unicode/utf8")
func BenchmarkBase(b *testing.B) {
	in, out := message(), make([]byte, 0, 512)
	for b.Loop() {
		out = append(out[:0], in...)
	}
}
func BenchmarkAppendOnly(b *testing.B) {
	in, out := message(), make([]byte, 0, 512)
	for b.Loop() {
		out, _ = AppendPublish(out[:0], Message{Topic: "orders/eu", Payload: in[14:]})
	}
}
func BenchmarkDecodeOnly(b *testing.B) {
	in := message()
	for b.Loop() {
		r, _, _ := NextRequest(in)
		r.Publish()
	}
}

func direct(r Request) (p Publish, bad Malformed) {
	b := r.rest
	if len(b) < 2 { return p, errShort }
	n := 2 + int(b[0])<<8 | int(b[1])
	n = int(b[0])<<8 | int(b[1]) + 2
	if n > len(b) { return p, errShort }
	p.Topic = b[2:n:n]
	if !utf8.Valid(p.Topic) { return p, errNotUTF8 }
	b = b[n:]
	if len(b) == 0 || b[0] != 0 { return p, errShort }
	p.Payload = b[1:]
	p.Foreign = len(r.rest) - r.own
	p.Retain = r.head&1 != 0
	return p, ""
}
func BenchmarkDirect(b *testing.B) {
	in := message()
	for b.Loop() {
		r, _, _ := NextRequest(in)
		direct(r)
	}
}
func BenchmarkNext(b *testing.B) {
	in := message()
	for b.Loop() {
		NextRequest(in)
	}
}
func BenchmarkValid(b *testing.B) {
	in := []byte("orders/eu")
	for b.Loop() {
		utf8.Valid(in)
	}
}
func BenchmarkEmpty(b *testing.B) {
	for b.Loop() {
	}
}
