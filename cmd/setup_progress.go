package cmd

import (
	"fmt"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// progress shows the steps of a run: a line for each that ended, with the time it
// took, and on a terminal which one is on. It belongs to one goroutine.
type progress struct {
	io   *ui.Streams
	step provision.Step
	stop func() // of the spinner; nil if there is none
}

// Begin implements provision.Watcher.
func (p *progress) Begin(step provision.Step) {
	p.step = step
	p.goOn()
}

// goOn shows the step that is on.
func (p *progress) goOn() {
	p.hold()
	p.stop = p.io.Spin(string(p.step))
}

// hold takes the spinner away, so that something can be written.
func (p *progress) hold() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// End implements provision.Watcher. What was right already shows with --verbose.
func (p *progress) End(r provision.StepReport) {
	p.hold()
	p.step = ""
	switch r.Outcome {
	case provision.Failed:
		p.io.Marked(ui.MarkFail, "%-13s %7s", r.Step, seconds(r.Took))
	case provision.Done:
		p.io.Marked(ui.MarkOK, "%-13s %7s  %s", r.Step, seconds(r.Took), r.Detail)
	default:
		if p.io.Verbose > 0 {
			p.io.Marked(ui.MarkSkip, "%-13s as it should be", r.Step)
		}
	}
}

// Warn implements provision.Watcher.
func (p *progress) Warn(text string) {
	shown := p.stop != nil
	p.hold()
	p.io.Warn("%s", text)
	if shown {
		p.goOn()
	}
}

// seconds is a time for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
