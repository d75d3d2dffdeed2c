package ui

import (
	"testing"
	"time"
)

func TestDurationFlag(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		text string
	}{
		{"90s", 90 * time.Second, "1m30s"},
		{"1h30m", 90 * time.Minute, "1h30m"},
		{"7d", 7 * day, "7d"},
		{"1d12h", 36 * time.Hour, "36h"},
		{"2d1h", 49 * time.Hour, "2d1h"},
		{"0", 0, "0s"},
		{"0d", 0, "0s"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"10m", 10 * time.Minute, "10m"},
		{"1h", time.Hour, "1h"},
	} {
		t.Run(c.in, func(t *testing.T) {
			var d Duration
			if err := d.Set(c.in); err != nil || d.D() != c.want || d.String() != c.text {
				t.Errorf("got %v %q, %v", d.D(), d, err)
			}
		})
	}
	for _, bad := range []string{"", "7", "d", "-1s", "1.5d", "1d-2h", "1d+2h", "--1s", "106752d", "9999999d", "1w", "one hour"} {
		var d Duration
		if err := d.Set(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, d.D())
		}
	}
}

func TestWhenFlag(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		in   string
		want time.Time
	}{
		{"2026-01-02T15:04:05Z", time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)},
		{"2026-01-02T15:04:05+02:00", time.Date(2026, 1, 2, 13, 4, 5, 0, time.UTC)},
		{"-10m", now.Add(-10 * time.Minute)},
		{"+1h", now.Add(time.Hour)},
		{"+7d", now.Add(7 * day)},
		{"now", now},
	} {
		t.Run(c.in, func(t *testing.T) {
			var w When
			if err := w.Set(c.in); err != nil || !w.At(now).Equal(c.want) || !w.IsSet() || w.String() != c.in {
				t.Errorf("got %v, %v", w.At(now), err)
			}
		})
	}
	for _, bad := range []string{"", "1h", "yesterday", "+", "-x", "+-1h", "2026-01-02", "1700000000"} {
		var w When
		if err := w.Set(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, w.At(now))
		}
	}
}

func TestSizeFlag(t *testing.T) {
	for in, want := range map[string]Size{"0": 0, "512": 512, "32KiB": 32768, "1.5MiB": 1572864, "2kB": 2000, "1MB": 1e6, "1 GiB": 1 << 30, "10b": 10} {
		var s Size
		if err := s.Set(in); err != nil || s != want {
			t.Errorf("%q is %d, want %d; %v", in, s, want, err)
		}
	}
	for _, bad := range []string{"", "KiB", "-1", "1XB", "1.2.3", "99999999999GiB", "1e3"} {
		var s Size
		if err := s.Set(bad); err == nil {
			t.Errorf("%q is taken for %d", bad, s)
		}
	}
	for size, want := range map[Size]string{32768: "32KiB", 1 << 30: "1GiB", 1000: "1000", 1536: "1536", 3 << 20: "3MiB"} {
		if size.String() != want {
			t.Errorf("%d is written %s, want %s", int64(size), size, want)
		}
	}
}

func TestRateFlag(t *testing.T) {
	for in, want := range map[string]time.Duration{"100/s": 10 * time.Millisecond, "100": 10 * time.Millisecond, "10/m": 6 * time.Second, "0.5/s": 2 * time.Second, "2/h": 30 * time.Minute, "1/d": day} {
		var r Rate
		if err := r.Set(in); err != nil || r.Every() != want || !r.IsSet() {
			t.Errorf("%q is every %v, want %v; %v", in, r.Every(), want, err)
		}
	}
	for _, bad := range []string{"", "0/s", "-1/s", "1/", "1/w", "x/s", "NaN", "Inf/s", "1e12/s"} {
		var r Rate
		if err := r.Set(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, r)
		}
	}
	var unset Rate
	if unset.IsSet() || unset.String() != "" || unset.Every() != 0 {
		t.Error("the zero rate is set")
	}
}

func FuzzDurationRoundTrip(f *testing.F) {
	f.Add("7d1h")
	f.Add("-3m")
	f.Fuzz(func(t *testing.T, in string) {
		d, err := ParseDuration(in)
		if err != nil {
			t.Skip()
		}
		if again, err := ParseDuration(FormatDuration(d)); err != nil || again != d {
			t.Errorf("%q is %v, written %q, read %v %v", in, d, FormatDuration(d), again, err)
		}
	})
}
