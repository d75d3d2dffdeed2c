package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// scan feeds pieces to a scanner and returns what it finds.
func scan(t testing.TB, size int, pieces ...[]byte) (found []record, err error) {
	t.Helper()
	var s scanner
	for _, p := range pieces {
		for {
			r, rest, ok, err := s.next(p, size, paddingBlock())
			if err != nil {
				return found, err
			}
			if !ok {
				break
			}
			found, p = append(found, r), rest
		}
	}
	return found, nil
}

func body(size int, records ...record) (b []byte) {
	for _, r := range records {
		b = append(b, "event: message\ndata: "...)
		b = append(appendPayload(b, size, r), "\n\n"...)
	}
	return b
}

func TestRecordsSurviveEveryCut(t *testing.T) {
	want := []record{{0, 0, 1}, {255, 1<<32 - 1, 1<<62 + 5}, {7, 0xdeadbeef, 42}}
	for _, size := range []int{minPayload, minPayload + 1, 200} {
		all := body(size, want...)
		for i := range all {
			for j := i; j < len(all); j += 13 {
				got, err := scan(t, size, all[:i], all[i:j], all[j:])
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("size %d cut at %d and %d: got %v, %v", size, i, j, got, err)
				}
			}
		}
	}
}

func TestFalseBeginningsAreNoRecords(t *testing.T) {
	want := []record{{1, 2, 3}}
	all := append([]byte("~~lo ~load ~loa"), body(40, want...)...)
	for i := range all {
		if got, err := scan(t, 40, all[:i], all[i:]); err != nil || !slices.Equal(got, want) {
			t.Fatalf("cut at %d: got %v, %v", i, got, err)
		}
	}
}

func TestDamagedPaddingIsAnError(t *testing.T) {
	all := body(100, record{}, record{seq: 1})
	all[bytes.LastIndexByte(all, padByte)-30] = 'y'
	if got, err := scan(t, 100, all); !errors.Is(err, errDamaged) || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}

// FuzzScannerIgnoresCuts checks that what a scanner finds depends on the bytes
// only, not on how they arrive.
func FuzzScannerIgnoresCuts(f *testing.F) {
	f.Add(body(40, record{1, 2, 3}), uint64(1))
	f.Add([]byte("~load~load~~loa"), uint64(2))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		whole, wholeErr := scan(t, 40, in)
		got, err := scan(t, 40, cut(in, seed)...)
		if !slices.Equal(got, whole) || !errors.Is(err, wholeErr) {
			t.Errorf("whole: %v, %v; in pieces: %v, %v", whole, wholeErr, got, err)
		}
	})
}

// cut divides in at places drawn from seed.
func cut(in []byte, seed uint64) (pieces [][]byte) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	for len(in) > 0 {
		n := 1 + rnd.IntN(min(len(in), 50))
		pieces, in = append(pieces, in[:n]), in[n:]
	}
	return pieces
}

func TestScanningDoesNotAllocate(t *testing.T) {
	all := body(200, record{}, record{seq: 1}, record{seq: 2})
	padding := paddingBlock()
	var s scanner
	allocs := testing.AllocsPerRun(100, func() {
		for p, ok := all, true; ok; {
			_, p, ok, _ = s.next(p, 200, padding)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations per scan", allocs)
	}
}

// BenchmarkReceive is what a message costs the load generator, to be far below
// what it costs any server.
func BenchmarkReceive(b *testing.B) {
	stream := func(dst, payload []byte) []byte {
		return fmt.Appendf(dst, "%x\r\nevent: message\ndata: %s\n\n\r\n", len(payload)+len("event: message\ndata: \n\n"), payload)
	}
	broker := func(dst, payload []byte) []byte { return append(dst, serverFrame("t", payload)...) }
	e := expect{size: 200, padding: paddingBlock()}
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("stream/batch=%d", batch), func(b *testing.B) {
			receive(b, &e, inbound{answered: 1, open: true, chunked: true}, batch, stream)
		})
		b.Run(fmt.Sprintf("broker/batch=%d", batch), func(b *testing.B) {
			receive(b, brokerExpect(200), inbound{answered: 3, open: true}, batch, broker)
		})
	}
}

func receive(b *testing.B, e *expect, in inbound, batch int, appendMessage func(dst, payload []byte) []byte) {
	l := newLedger(1, 1, batch)
	piece := make([]byte, 0, 64<<10)
	for b.Loop() {
		b.StopTimer()
		piece = piece[:0]
		for range batch {
			piece = appendMessage(piece, appendPayload(nil, 200, record{seq: l.send(0)}))
		}
		b.StartTimer()
		if err := in.feed(piece, e, l, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/message")
}
