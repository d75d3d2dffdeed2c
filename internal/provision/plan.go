package provision

import (
	"fmt"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Verb is what an action does.
type Verb string

// The verbs.
const (
	Create   Verb = "create"
	Adopt    Verb = "adopt" // use what was there before
	Update   Verb = "update"
	Replace  Verb = "replace"
	Enable   Verb = "enable"
	Upload   Verb = "upload"
	Activate Verb = "activate"
	Store    Verb = "store"  // a secret
	Manual   Verb = "manual" // somebody has to give something
	Probe    Verb = "probe"  // tries whether it works
)

// marks are the signs of the verbs in the text of a plan.
func (v Verb) mark() string {
	switch v {
	case Update, Replace, Activate, Adopt:
		return "~"
	case Manual:
		return "!"
	case Probe:
		return "?"
	}
	return "+"
}

// Action is one line of a plan.
type Action struct {
	Step   Step   `json:"step"`
	Verb   Verb   `json:"action"`
	Object string `json:"object"`
	// Before and After describe the change; either may be empty.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Versioned says that the change takes effect with the activation.
	Versioned bool `json:"versioned,omitempty"`
	// Writes is about how many changing requests it takes.
	Writes int `json:"writes"`
	// Sensitive says that a secret is involved, which is not shown.
	Sensitive bool `json:"sensitive,omitempty"`
}

// Text is the action on one line, without its mark.
func (a Action) Text() string {
	step := string(a.Step)
	if step == string(a.Verb) {
		step = "" // it would say the same twice
	}
	s := fmt.Sprintf("%-8s %-13s %s", a.Verb, step, a.Object)
	switch {
	case a.Before != "" && a.After != "":
		s += ": " + a.Before + " -> " + a.After
	case a.Before+a.After != "":
		s += ": " + a.Before + a.After
	}
	return s
}

// Plan is what there is to do, in order.
type Plan struct {
	ServiceID string `json:"service_id,omitempty"`
	Name      string `json:"name"`
	Domain    string `json:"domain,omitempty"`
	// Base is the version that the plan was made against; 0 for none.
	Base     int           `json:"base_version,omitempty"`
	Actions  []Action      `json:"actions"`
	Warnings []string      `json:"warnings,omitempty"`
	Budget   fastly.Budget `json:"-"`

	state  *State
	ledger *Ledger
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Actions) == 0 }

// Has reports whether there is something to do in a step.
func (p *Plan) Has(step Step) bool {
	for _, a := range p.Actions {
		if a.Step == step {
			return true
		}
	}
	return false
}

// Writes is about how many changing requests the plan takes.
func (p *Plan) Writes() int {
	n := 0
	for _, a := range p.Actions {
		n += a.Writes
	}
	return n
}

// Lines are the plan for people: a line for each action, the warnings, and a sum.
func (p *Plan) Lines() []string {
	var lines []string
	for _, a := range p.Actions {
		lines = append(lines, a.Verb.mark()+" "+a.Text())
	}
	for _, w := range p.Warnings {
		lines = append(lines, "warning: "+w)
	}
	return append(lines, p.sum())
}

// sum says how much a plan is, and what it costs of the hour's budget.
func (p *Plan) sum() string {
	if p.Empty() {
		return "nothing to do"
	}
	count := map[string]int{}
	for _, a := range p.Actions {
		count[a.Verb.mark()]++
	}
	var parts []string
	for _, kind := range [...]struct{ mark, words string }{{"+", "to make"}, {"~", "to change"}, {"!", "to be given"}, {"?", "to try"}} {
		if n := count[kind.mark]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, kind.words))
		}
	}
	text := strings.Join(parts, ", ")
	switch n := p.Writes(); n {
	case 0:
		return text + "; no writes"
	case 1:
		text += "; about 1 write"
	default:
		text += fmt.Sprintf("; about %d writes", n)
	}
	if p.Budget.Known {
		text += fmt.Sprintf(", %d are left until %s", p.Budget.Remaining, p.Budget.Reset.UTC().Format(time.TimeOnly+" MST"))
	}
	return text
}
