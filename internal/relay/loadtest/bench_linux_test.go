package loadtest

import (
	"os"
	"testing"
)

// BenchmarkSimple measures an ordinary net/http server, and the batching floor,
// beside the floor: what the harness shows when nothing is tuned.
func BenchmarkSimple(b *testing.B) {
	h := newHarness(b)
	var rep Report
	simple := simpleSpec(b, Plain, "")
	for _, f := range []Figure{
		Saturated(1000), Single(1000), Paced(1000, 10), Publish(16), Connects(5000),
	} {
		h.Compare(b, &rep, f, simple)
	}
	h.Compare(b, &rep, Saturated(1000), Floor(true))
	h.CompareIdle(b, &rep, 2000, simple, "")
	if _, err := rep.WriteTo(os.Stdout); err != nil {
		b.Fatal(err)
	}
}
