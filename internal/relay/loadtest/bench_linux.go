package loadtest

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"
)

// pair is one round of a benchmark: the server and, right before it, its floor.
type pair struct{ floor, server Result }

// Compare runs a figure as a sub-benchmark of b: each round measures the floor
// and then the server, and the round with the median ratio is reported, to b
// and to rep. -benchtime 5x takes the median of five. A lost, repeated or
// reordered message fails b.
func (h *Harness) Compare(b *testing.B, rep *Report, f Figure, s Spec) {
	b.Run(f.Name+"/"+s.Name, func(b *testing.B) {
		var rounds []pair
		for b.Loop() {
			rounds = append(rounds, h.round(b, f, s))
		}
		ratio := func(p pair) float64 { return f.Value(p.server) / f.Value(p.floor) }
		slices.SortFunc(rounds, func(x, y pair) int { return cmp.Compare(ratio(x), ratio(y)) })
		p := rounds[len(rounds)/2]
		row := Row{
			Figure: f.Name, Server: s.Name, Unit: f.Unit, Value: f.Value(p.server), Floor: f.Value(p.floor),
			Goal: f.Goal, ServerBusy: p.server.ServerBusy(), LoadBusy: p.server.LoadBusy(),
			Others: p.server.Others(),
		}
		rep.Add(row)
		row.metrics(b)
		p.server.metrics(b, f)
	})
}

func (h *Harness) round(b *testing.B, f Figure, s Spec) (p pair) {
	beside, job := f.Floor, f.FloorJob
	if beside.Start == nil {
		beside = s
	}
	or(&job, f.Job)
	var err error
	if p.floor, err = h.undisturbed(b.Context(), beside, job); err != nil {
		b.Fatal(err)
	}
	if p.server, err = h.undisturbed(b.Context(), s, f.Job); err != nil {
		b.Fatal(err)
	}
	return p
}

const (
	// disturbance is how much of a core others may use before a paced run counts
	// as spoilt: what runs late then says more about them than about the server.
	disturbance = 0.03
	// pacedTries is how often a spoilt run is repeated before it has to do.
	pacedTries = 3
)

// undisturbed runs a job, a paced one again while others spoil it, and returns
// the run they spoilt the least. Figures of processor time need no such care.
func (h *Harness) undisturbed(ctx context.Context, s Spec, j Job) (best Result, err error) {
	for try := range pacedTries {
		r, err := h.Run(ctx, s, j)
		if err != nil {
			return r, err
		}
		if try == 0 || r.Others() < best.Others() {
			best = r
		}
		if j.Rate == 0 || best.Others() <= disturbance {
			break
		}
	}
	return best, nil
}

// metrics reports what every row has. The time of a round says nothing.
func (r Row) metrics(b *testing.B) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(r.Value, r.Unit)
	if r.Floor != 0 {
		b.ReportMetric(r.Floor, "floor-"+r.Unit)
		b.ReportMetric(r.Ratio(), "x-floor")
	}
}

// metrics reports what else is known of a server's run.
func (r Result) metrics(b *testing.B, f Figure) {
	b.ReportMetric(r.ServerBusy(), "server-busy")
	b.ReportMetric(r.LoadBusy(), "load-busy")
	b.ReportMetric(r.Others(), "others-busy")
	if f.Job.Kind != Traffic {
		return
	}
	b.ReportMetric(r.Rate(), "deliveries/s")
	b.ReportMetric(r.PublishRate(), "publishes/s")
	b.ReportMetric(r.PerDelivery(), "µs-cpu/delivery")
	b.ReportMetric(float64(r.P50)/1e6, "p50-ms")
	b.ReportMetric(r.P99Millis(), "p99-ms")
	b.ReportMetric(float64(r.Max)/1e6, "max-ms")
}

// CompareIdle measures what each of n idle streams, or MQTT connections, costs
// in memory, beside the floor, as a sub-benchmark of b.
func (h *Harness) CompareIdle(b *testing.B, rep *Report, n int, s Spec, goal string) {
	const unit = "kB/conn"
	name, beside := "idle", Floor(false)
	if s.MQTT != nil {
		name, beside = "mqtt-idle", FloorMQTT(false)
	}
	b.Run(name+"/"+s.Name, func(b *testing.B) {
		for b.Loop() {
			floor := h.idle(b, beside, n)
			server := h.idle(b, s, n)
			row := Row{
				Figure: name, Server: s.Name, Unit: unit, Goal: goal,
				Value: server.Resident / 1e3, Floor: floor.Resident / 1e3,
			}
			rep.Add(row)
			row.metrics(b)
			b.ReportMetric(server.Heap/1e3, "heap-"+unit)
		}
	})
}

func (h *Harness) idle(b *testing.B, s Spec, n int) Memory {
	m, err := h.Idle(b.Context(), s, n)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// CompareStart measures how long a program takes, beside a program that ends as
// soon as it has begun, as a sub-benchmark of b. took starts it once and returns
// the time; the median is reported in milliseconds.
func CompareStart(b *testing.B, rep *Report, name, goal string, took func(context.Context) (time.Duration, error)) {
	const unit = "ms"
	b.Run("start/"+name, func(b *testing.B) {
		var floors, times []time.Duration
		for b.Loop() {
			floors = append(floors, timed(b, Nothing))
			times = append(times, timed(b, took))
		}
		row := Row{
			Figure: "start", Server: name, Unit: unit, Goal: goal,
			Value: medianMillis(times), Floor: medianMillis(floors),
		}
		rep.Add(row)
		row.metrics(b)
	})
}

func timed(b *testing.B, took func(context.Context) (time.Duration, error)) time.Duration {
	d, err := took(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func medianMillis(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2]) / 1e6
}
