package provision

import "time"

// Outcome is how a step ended.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Kept    Outcome = "kept" // nothing was to be done
	Skipped Outcome = "skipped"
	Failed  Outcome = "failed"
)

// StepReport is one step of a run.
type StepReport struct {
	Step    Step          `json:"step"`
	Outcome Outcome       `json:"status"`
	Detail  string        `json:"detail,omitempty"`
	Took    time.Duration `json:"-"`
	Millis  float64       `json:"took_ms"`
}

// Report is what a run came to.
type Report struct {
	ServiceID string `json:"service_id,omitempty"`
	Name      string `json:"name,omitempty"`
	Domain    string `json:"domain,omitempty"`
	URL       string `json:"url,omitempty"`
	Version   int    `json:"version,omitempty"`
	KeyID     string `json:"key_id,omitempty"`
	Context   string `json:"context,omitempty"`
	// Steps are those that were taken, in order.
	Steps    []StepReport `json:"steps"`
	Warnings []string     `json:"warnings,omitempty"`
}

// Watcher is told of the steps of a run as they begin and end. Its methods are
// called from one goroutine.
type Watcher interface {
	Begin(step Step)
	End(r StepReport)
	// Warn tells of something that does not stop the run.
	Warn(text string)
}
