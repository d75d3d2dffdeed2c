package loadtest

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// newTestRun is a run whose processor clock stands still.
func newTestRun(j Job) *run {
	o := order{Job: j.withDefaults(), Target: target{Publish: [][]byte{[]byte("POST\n")}, Answer: "HTTP/1.1 200"}}
	return newRun(o, func() (usage, error) { return usage{}, nil })
}

func TestPublisherMaySendWhatWindowDepthAndRateAllow(t *testing.T) {
	tests := []struct {
		name string
		job  Job
		now  int64
		sent int
		want int
	}{
		{"the window, when it is less", Job{Subscribers: 1, Window: 5, Depth: 10}, 0, 0, 5},
		{"the depth, when it is less", Job{Subscribers: 1, Window: 10, Depth: 5}, 0, 0, 5},
		{"what is left of the window", Job{Subscribers: 1, Window: 5, Depth: 10}, 0, 3, 2},
		{"nothing beyond the window", Job{Subscribers: 1, Window: 1}, 0, 1, 0},
		{"the first message at once", Job{Subscribers: 1, Rate: 10}, 0, 0, 1},
		{"nothing before the next is due", Job{Subscribers: 1, Rate: 10}, 99_999_999, 1, 0},
		{"the next when it is due", Job{Subscribers: 1, Rate: 10}, 100_000_000, 1, 1},
		{"all that became due meanwhile", Job{Subscribers: 1, Rate: 10}, 450_000_000, 1, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newTestRun(tt.job)
			for range tt.sent {
				r.ledger.send(0)
			}
			if got := r.may(0, tt.now); got != tt.want {
				t.Errorf("may send %d, want %d", got, tt.want)
			}
		})
	}
}

func TestPacedMessageCarriesItsDueTime(t *testing.T) {
	r := newTestRun(Job{Subscribers: 1, Rate: 10, Payload: 40})
	r.paceFrom = 7
	got, err := scan(t, 40, r.fill(nil, 0, 2, 1e9))
	if err != nil || len(got) != 2 || got[0].at != 7 || got[1].at != 7+1e8 {
		t.Errorf("got %v, %v; want due times 7 and %v, not the time of sending", got, err, 7+1e8)
	}
}

func TestRunEndsWhenAllHasArrived(t *testing.T) {
	r := newTestRun(Job{Subscribers: 1})
	r.begin()
	r.fill(nil, 0, 1, 0)
	warm := r.phaseEnd
	wantTick(t, r, warm-1, warming, false)
	wantTick(t, r, warm, measuring, false)
	wantTick(t, r, r.phaseEnd, measuring, false) // nothing has been measured yet
	if err := r.ledger.deliver(0, record{}, r.phaseEnd); err != nil {
		t.Fatal(err)
	}
	wantTick(t, r, r.phaseEnd+1, draining, false) // the publish is not answered yet
	if r.may(0, r.phaseEnd+1) != 0 {
		t.Error("a draining run publishes")
	}
	if err := r.response(0, []byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	wantTick(t, r, r.phaseEnd+2, draining, true)
}

func wantTick(t *testing.T, r *run, now int64, phase phase, finished bool) {
	t.Helper()
	if got, err := r.tick(now); err != nil || got != finished || r.phase != phase {
		t.Errorf("at %d: phase %d, finished %v, %v; want %d, %v", now, r.phase, got, err, phase, finished)
	}
}

func TestRunPastItsLimitSaysWhatIsMissing(t *testing.T) {
	r := newTestRun(Job{Subscribers: 1})
	r.begin()
	r.fill(nil, 0, 1, 0)
	if _, err := r.tick(r.limit + 1); err == nil || !strings.Contains(err.Error(), "subscriber 0 has 0") {
		t.Errorf("got %v, want the subscriber that lacks a message", err)
	}
	if err := r.ledger.deliver(0, record{}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.tick(r.limit + 1); err == nil || !strings.Contains(err.Error(), "unanswered") {
		t.Errorf("got %v, want the unanswered publish", err)
	}
}

func TestLimitGrowsWithWhatMayBeOutstanding(t *testing.T) {
	few, many := Job{Subscribers: 1}.withDefaults(), Job{Subscribers: MaxConns}.withDefaults()
	if alone := time.Duration(defaultWindow*MaxConns) * 4 * time.Microsecond; many.Limit-few.Limit < 2*alone {
		t.Errorf("limits %v and %v: the last %d messages alone take an idle machine %v", few.Limit, many.Limit, defaultWindow, alone)
	}
	if long := (Job{Measure: time.Minute}).withDefaults(); long.check() != nil {
		t.Errorf("a long job does not fit its own limit: %v", long.check())
	}
	if given := (Job{Subscribers: MaxConns, Limit: time.Second}).withDefaults(); given.Limit != time.Second {
		t.Errorf("limit %v, want the one given", given.Limit)
	}
}

func TestMoreAnswersThanRequestsIsAnError(t *testing.T) {
	r := newTestRun(Job{})
	if err := r.response(0, []byte("HTTP/1.1 200 OK\r\n\r\n")); err == nil {
		t.Error("an answer to nothing is accepted")
	}
}

func TestUnreadableClockEndsTheRun(t *testing.T) {
	r := newTestRun(Job{Subscribers: 1})
	gone := errors.New("no such process")
	r.cpu = func() (usage, error) { return usage{}, gone }
	r.begin()
	if _, err := r.tick(r.phaseEnd); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}
