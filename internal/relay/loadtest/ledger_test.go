package loadtest

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestLedgerClosesMessagesEverybodyHas(t *testing.T) {
	l := newLedger(2, 1, 4)
	for range 3 {
		l.send(0)
	}
	steps := []struct {
		sub  int
		seq  uint32
		open int
	}{{0, 0, 3}, {0, 1, 3}, {0, 2, 3}, {1, 0, 2}, {1, 1, 1}, {1, 2, 0}}
	for _, s := range steps {
		if err := l.deliver(s.sub, record{seq: s.seq}, 0); err != nil || l.open != s.open {
			t.Fatalf("subscriber %d has %d: %d open, %v; want %d", s.sub, s.seq, l.open, err, s.open)
		}
	}
	if l.delivered != 6 || l.missing() != nil {
		t.Errorf("%d delivered, missing: %v", l.delivered, l.missing())
	}
}

func TestLedgerRefusesWhatCannotBe(t *testing.T) {
	tests := []struct {
		name string
		r    record
		want string
	}{
		{"a message never sent", record{seq: 2}, "never sent"},
		{"an unknown publisher", record{pub: 1}, "never sent"},
		{"a message too early", record{seq: 1}, "wanted 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger(1, 1, 4)
			l.send(0)
			l.send(0)
			if err := l.deliver(0, tt.r, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLedgerRefusesRepetition(t *testing.T) {
	l := newLedger(2, 1, 4)
	l.send(0)
	if err := l.deliver(0, record{}, 0); err != nil {
		t.Fatal(err)
	}
	if err := l.deliver(0, record{}, 0); err == nil {
		t.Error("a repeated message is accepted")
	}
}

func TestLedgerNamesWhatIsMissing(t *testing.T) {
	l := newLedger(3, 2, 8)
	l.send(1)
	for _, sub := range []int{0, 1} {
		if err := l.deliver(sub, record{pub: 1}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.missing(); err == nil || !strings.HasPrefix(err.Error(), "subscriber 2 has 0 of publisher 1's 1 messages") {
		t.Errorf("missing: %v", err)
	}
}

func TestLatencyCountsFromWarmUpOn(t *testing.T) {
	l := newLedger(1, 1, 2)
	l.from = 100
	for seq, at := range []int64{99, 100} {
		l.send(0)
		if err := l.deliver(0, record{seq: uint32(seq), at: at}, 107); err != nil {
			t.Fatal(err)
		}
	}
	if l.latency.total != 1 || l.latency.max != 7 {
		t.Errorf("%d latencies up to %d, want one of 7", l.latency.total, l.latency.max)
	}
}

func TestQuantilesAreCloseFromAbove(t *testing.T) {
	var h histogram
	const n = 100_000
	for v := range int64(n) {
		h.add(v * 1000)
	}
	for _, q := range []float64{0.001, 0.5, 0.99, 1} {
		got, want := float64(h.quantile(q)), math.Ceil(q*n-1)*1000
		if got < want || got > want*(1+1.0/subBuckets)+1 {
			t.Errorf("quantile %v is %v, want %v and at most 1/%d more", q, got, want, subBuckets)
		}
	}
}

func TestHistogramTakesAnyDuration(t *testing.T) {
	var h histogram
	for _, v := range []int64{-1, 0, 1, subBuckets, math.MaxInt64} {
		h.add(v)
	}
	if h.quantile(0.2) != 0 || h.quantile(1) != math.MaxInt64 {
		t.Errorf("least %v, most %v", h.quantile(0.2), h.quantile(1))
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestBucketsHoldTheirCeiling(t *testing.T) {
	for v := uint64(1); v < 1<<62; v += v/8 + 1 {
		if c := ceiling(bucket(v)); uint64(c) < v || bucket(uint64(c)) != bucket(v) || bucket(uint64(c)+1) == bucket(v) {
			t.Fatalf("%d is in bucket %d, whose largest value is given as %d", v, bucket(v), c)
		}
	}
}

func TestJobsOutOfBoundsAreRefused(t *testing.T) {
	tests := []struct {
		name string
		job  Job
	}{
		{"too many connections", Job{Subscribers: MaxConns, Stalled: 1}},
		{"too many publishers", Job{Publishers: maxPublish + 1}},
		{"a payload too small for its record", Job{Payload: minPayload - 1}},
		{"a payload the app refuses", Job{Payload: maxPayload + 1}},
		{"a window past the ring's bound", Job{Window: maxWindow + 1}},
		{"a rate for several publishers", Job{Rate: 1, Publishers: 2}},
		{"longer than its limit", Job{Measure: time.Second, Limit: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.job.withDefaults().check(); err == nil {
				t.Error("accepted")
			}
		})
	}
	if err := (Job{}).withDefaults().check(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

func TestReportReplacesARepeatedRow(t *testing.T) {
	var rep Report
	var b strings.Builder
	if n, err := rep.WriteTo(&b); n != 0 || err != nil {
		t.Errorf("an empty report wrote %d bytes, %v", n, err)
	}
	rep.Add(Row{Figure: "single/10", Server: "relay", Unit: "µs", Value: 9, Floor: 4})
	rep.Add(Row{Figure: "single/10", Server: "relay", Unit: "µs", Value: 4.4, Floor: 4, Goal: "≤ 1.15 ×", ServerBusy: 0.5, Others: 0.25})
	if _, err := rep.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	want := "| figure | server | value | floor | ratio | goal | server busy | load busy | others |\n|---|---|---|---|---|---|---|---|---|\n" +
		"| single/10 | relay | 4.4 µs | 4 | 1.10 × | ≤ 1.15 × | 50 % | – | 25 % |\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestRatesAreOfTheRightTime(t *testing.T) {
	r := Result{Wall: 2 * time.Second, Server: time.Second, Load: 500 * time.Millisecond, Cores: 2 * time.Second, Delivered: 1000, Published: 10, Opened: 6}
	got := []float64{r.PerCore(), r.Rate(), r.PublishedPerCore(), r.PublishRate(), r.OpenedPerCore(), r.PerDelivery(), r.ServerBusy(), r.LoadBusy(), r.Others()}
	for i, want := range []float64{1000, 500, 10, 5, 6, 1000, 0.5, 0.25, 0.25} {
		if got[i] != want {
			t.Errorf("number %d is %v, want %v", i, got[i], want)
		}
	}
	if z := (Result{}); z.PerCore() != 0 || z.PerDelivery() != 0 || z.ServerBusy() != 0 {
		t.Error("an empty result divides by zero")
	}
}
