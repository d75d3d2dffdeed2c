package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// capture is a writer that several goroutines may look at.
type capture struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.Write(p)
}

func (c *capture) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := strings.TrimSuffix(c.buf.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

type secretValue struct{}

func (secretValue) LogValue() slog.Value { return slog.StringValue("hidden") }

func TestLogLines(t *testing.T) {
	for _, c := range []struct {
		rule  string
		log   func(*slog.Logger)
		text  string
		jason string
	}{
		{"facts follow the message", func(l *slog.Logger) { l.Info("subscribed", "topic", "a b", "conn", 3) },
			`subscribed topic="a b" conn=3`, `"level":"info","msg":"subscribed","topic":"a b","conn":3}`},
		{"levels other than info are named", func(l *slog.Logger) { l.Warn("refused", "cause", "no") },
			`warn refused cause=no`, `"level":"warn","msg":"refused","cause":"no"}`},
		{"deliveries read as words", func(l *slog.Logger) { l.Info("published", "topic", "t", "delivered", 2, "of", 5, "bytes", 1) },
			`published topic=t 2 of 5 delivered bytes=1`, `"msg":"published","topic":"t","delivered":2,"of":5,"bytes":1}`},
		{"control characters are escaped", func(l *slog.Logger) { l.Info("x", "topic", "\x1b\n") },
			`x topic=\x1b\n`, `"topic":"\\x1b\\n"}`},
		{"secrets are redacted", func(l *slog.Logger) { l.Info("x", "cause", "Bearer abc", "token", "abc", "v", secretValue{}) },
			`x cause="Bearer [redacted]" token=[redacted] v=hidden`, `"cause":"Bearer [redacted]","token":"[redacted]","v":"hidden"}`},
		{"quotes are kept apart", func(l *slog.Logger) { l.Info("x", "a", `say "hi"`, "b", "") },
			`x a="say \"hi\"" b=""`, `"a":"say \"hi\"","b":""}`},
		{"durations are short", func(l *slog.Logger) { l.Info("x", "took", 1234567*time.Nanosecond) },
			`x took=1.235ms`, `"took":"1.235ms"}`},
		{"attributes and groups are kept", func(l *slog.Logger) {
			l.With("conn", 1).WithGroup("g").With("a", 2).Info("x", "b", 3, slog.Group("h", "c", 4))
		}, `x conn=1 g.a=2 g.b=3 g.h.c=4`, `"conn":1,"g.a":2,"g.b":3,"g.h.c":4}`},
		{"errors are text", func(l *slog.Logger) { l.Error("x", "err", errors.New("broke")) },
			`error x err=broke`, `"level":"error","msg":"x","err":"broke"}`},
		{"long values are cut", func(l *slog.Logger) { l.Info("x", "a", strings.Repeat("z", 600)) },
			"x a=" + strings.Repeat("z", 512) + "...", `"a":"` + strings.Repeat("z", 512) + `..."}`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := logged(LogOptions{}, c.log); !strings.HasSuffix(got, " "+c.text) || got[2] != ':' {
				t.Errorf("text\n got %s\nwant %s", got, c.text)
			}
			got := logged(LogOptions{JSON: true}, c.log)
			if !strings.HasSuffix(got, c.jason) || !json.Valid([]byte(got)) {
				t.Errorf("json\n got %s\nwant %s", got, c.jason)
			}
		})
	}
}

// logged gives what one call logs.
func logged(opt LogOptions, call func(*slog.Logger)) string {
	var out capture
	opt.Writer = &out
	h := NewEventLog(opt)
	call(slog.New(h))
	h.Close()
	return strings.Join(out.lines(), "\n")
}

func TestLogObeysItsLevel(t *testing.T) {
	if got := logged(LogOptions{}, func(l *slog.Logger) { l.Debug("x") }); got != "" {
		t.Errorf("got %q", got)
	}
	head := func(_ time.Time, l slog.Level) string { return "[" + l.String() + "] " }
	if got := logged(LogOptions{Head: head}, func(l *slog.Logger) { l.Warn("x", "a", 1) }); got != "[WARN] x a=1" {
		t.Errorf("with a head of its own: %q", got)
	}
	if got := logged(LogOptions{Level: slog.LevelDebug}, func(l *slog.Logger) { l.Debug("x") }); !strings.HasSuffix(got, " debug x") {
		t.Errorf("got %q", got)
	}
}

func TestLogStopsAtItsBudgetAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out capture
		h := NewEventLog(LogOptions{Writer: &out, Lines: 3, Alerts: 2})
		defer h.Close()
		l := slog.New(h)
		for range 10 {
			l.Info("published")
		}
		if h.Enabled(t.Context(), slog.LevelInfo) {
			t.Error("still enabled when the budget is used up")
		}
		for range 5 {
			l.Warn("refused")
		}
		l.Error("broke")
		synctest.Wait()
		if got := len(out.lines()); got != 5 {
			t.Fatalf("%d lines: %q", got, out.lines())
		}
		time.Sleep(logWindow)
		synctest.Wait()
		lines := out.lines()
		// Ten less three, one for the Enabled above; five less two; one error.
		if want := "lines not shown count=12 info=8 warn=3 error=1"; len(lines) != 6 || !strings.HasSuffix(lines[5], want) {
			t.Fatalf("got %q", lines)
		}
		l.Info("again")
		synctest.Wait()
		if got := len(out.lines()); got != 7 {
			t.Errorf("the budget is not renewed: %q", out.lines())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := len(out.lines()); got != 7 {
			t.Errorf("a quiet log speaks: %q", out.lines())
		}
	})
}

func TestLogBudgetsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out capture
		h := NewEventLog(LogOptions{Writer: &out, Lines: 1, Alerts: 1, JSON: true})
		l := slog.New(h)
		l.Info("a")
		l.Info("b")
		l.Warn("c")
		h.Close()
		lines := out.lines()
		if len(lines) != 3 || !strings.Contains(lines[1], `"msg":"c"`) || !strings.Contains(lines[2], `"msg":"lines not shown","count":1,"info":1}`) {
			t.Errorf("got %q", lines)
		}
	})
}

func TestLogNeverWaitsForItsWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := stuckWriter{make(chan struct{})}
		h := NewEventLog(LogOptions{Writer: stuck, Lines: 2, Alerts: 1})
		l := slog.New(h)
		for range 100 {
			l.Info("x")
			l.Error("y")
		}
		start := time.Now()
		h.Close()
		if took := time.Since(start); took != closePatience {
			t.Errorf("Close took %v", took)
		}
		close(stuck.free)
	})
}

type stuckWriter struct{ free chan struct{} }

func (w stuckWriter) Write(p []byte) (int, error) {
	<-w.free
	return len(p), nil
}

func TestLogFromManyGoroutines(t *testing.T) {
	var out capture
	h := NewEventLog(LogOptions{Writer: &out, Lines: 1000, JSON: true})
	l := slog.New(h)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for k := range 500 {
				l.Info("published", "conn", i, "count", k)
			}
		})
	}
	all.Wait()
	h.Close()
	h.Close()
	shown, missed := 0, 0
	for _, line := range out.lines() {
		var r struct {
			Msg   string
			Count int
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Msg == "published" {
			shown++
		} else {
			missed += r.Count
		}
	}
	if shown+missed != 4000 {
		t.Errorf("%d shown and %d counted of 4000", shown, missed)
	}
}

func TestDisabledLogCostsNothing(t *testing.T) {
	h := NewEventLog(LogOptions{Writer: &capture{}, Lines: 1})
	defer h.Close()
	l := slog.New(h)
	l.Info("x")
	if n := testing.AllocsPerRun(100, func() { l.Enabled(t.Context(), slog.LevelInfo) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDisabledLog(b *testing.B) {
	h := NewEventLog(LogOptions{Writer: &capture{}, Lines: 1})
	defer h.Close()
	l := slog.New(h)
	l.Info("x")
	b.ReportAllocs()
	for b.Loop() {
		l.Enabled(b.Context(), slog.LevelInfo)
	}
}
