package provision

import "github.com/pubsubctl/pubsubctl/internal/provision/fastly"

// Verb is what an action does.
type Verb string

// The verbs.
const (
	Create   Verb = "create"
	Adopt    Verb = "adopt"
	Update   Verb = "update"
	Replace  Verb = "replace"
	Enable   Verb = "enable"
	Upload   Verb = "upload"
	Activate Verb = "activate"
	Secret   Verb = "secret"
	Manual   Verb = "manual" // somebody has to give something
	Probe    Verb = "probe"  // tries whether it works
	Keep     Verb = "keep"   // as it should be
)

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

// Plan is what there is to do, in order.
type Plan struct {
	ServiceID string        `json:"service_id,omitempty"`
	Name      string        `json:"name"`
	Domain    string        `json:"domain,omitempty"`
	Actions   []Action      `json:"actions"`
	Warnings  []string      `json:"warnings,omitempty"`
	Budget    fastly.Budget `json:"-"`
	// Base is the version that the plan was made against.
	Base int `json:"base_version,omitempty"`
}
