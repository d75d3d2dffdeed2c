package tail

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestMeterCountsCompleteSeconds(t *testing.T) {
	var m meter
	at := time.Unix(1000, 0)
	for second, n := range []int{3, 0, 8} {
		for range n {
			m.add(at.Add(time.Duration(second)*time.Second), 10)
		}
	}
	if m.rate() != 0 || m.ago(1) != 3 {
		t.Errorf("within the third second: rate %d, before it %d", m.rate(), m.ago(1))
	}
	m.turn(at.Add(3 * time.Second))
	if m.rate() != 8 || m.ago(1) != 0 || m.ago(2) != 3 || m.volume() != 80 || m.peak != 8 || m.count != 11 {
		t.Errorf("%d, %d, %d, %d bytes, peak %d, %d in all", m.rate(), m.ago(1), m.ago(2), m.volume(), m.peak, m.count)
	}
	if s := m.spark(4, true); s != " ▄ █" {
		t.Errorf("spark %q", s)
	}
	if s := m.spark(3, false); s != "= @" {
		t.Errorf("spark %q", s)
	}
	m.turn(at.Add(time.Hour))
	if m.rate() != 0 || m.spark(8, true) != "        " {
		t.Errorf("an hour later: rate %d, spark %q", m.rate(), m.spark(8, true))
	}
	m.add(at, 1) // the clock went back
	if m.turn(at.Add(time.Hour + time.Second)); m.rate() != 1 {
		t.Errorf("after the clock went back: rate %d", m.rate())
	}
}

func TestHistogramIsCloseToTheTruth(t *testing.T) {
	var h histogram
	random := rand.New(rand.NewPCG(1, 2))
	var values []uint64
	for range 20_000 {
		v := uint64(random.ExpFloat64() * 5000)
		values = append(values, v)
		h.add(v)
	}
	slices.Sort(values)
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99, 0.999} {
		want, got := float64(values[int(q*float64(len(values)))]), float64(h.quantile(q))
		if got < want || got > want*1.07+1 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if h.quantile(1) != values[len(values)-1] || h.max != values[len(values)-1] {
		t.Errorf("the largest is %d, want %d", h.quantile(1), values[len(values)-1])
	}
	for _, v := range []uint64{0, 1, 15, 16, 31, 32, 33, 1 << 20, 1<<64 - 1} {
		if b := bucket(v); ceiling(b) < v || b > 0 && ceiling(b-1) >= v {
			t.Errorf("%d is in bucket %d, which ends at %d", v, b, ceiling(b))
		}
	}
}

func TestSentAt(t *testing.T) {
	now := time.Date(2026, 3, 4, 15, 4, 6, 0, time.UTC)
	for payload, want := range map[string]time.Time{
		`{"ts":"2026-03-04T15:04:05.5Z"}`:               now.Add(-500 * time.Millisecond),
		`{"a":1, "time" : "2026-03-04T16:04:05+01:00"}`: now.Add(-time.Second),
		`{"timestamp":1772636645}`:                      now.Add(-time.Second),
		`{"timestamp":1772636645.25}`:                   now.Add(-750 * time.Millisecond),
		`{"sent_at":1772636645999}`:                     now.Add(-time.Millisecond),
		`{"ts":1772636645999999}`:                       now.Add(-time.Microsecond),
		`{"ts":1772636645999999999}`:                    now.Add(-time.Nanosecond),
		`{"ts":12}`:                                     {},
		`{"ts":"2019-03-04T15:04:05Z"}`:                 {},
		`{"ts":"soon","time":true,"timestamp":}`:        {},
		`{"ts"`:                                         {},
		`["ts"]`:                                        {},
		``:                                              {},
	} {
		got, ok := sentAt([]byte(payload), now)
		if ok == want.IsZero() || !got.Equal(want) && ok {
			t.Errorf("%s: %v %v, want %v", payload, got, ok, want)
		}
	}
}
