package spec

import "slices"

// Endpoint names, as an SLO may use them, are the keys of the catalogue and the
// names of the rows that its requests are reported in.
func (s *Spec) endpointNames() []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, e := range s.Endpoints {
		add(e.Key)
		add(e.Name)
	}
	for _, p := range s.Personas {
		for _, st := range p.calls() {
			add(st.Name)
		}
	}
	for _, st := range slices.Concat(s.Before, s.After) {
		add(st.Name)
	}
	return names
}

func (s *Spec) personaNames() []string {
	var names []string
	for _, p := range s.Personas {
		names = append(names, p.Name)
	}
	return names
}

// taskNames returns the tasks of one persona, or of all and of the run itself
// for "".
func (s *Spec) taskNames(persona string) []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	if persona == "" && len(s.Before) > 0 {
		add(Before)
	}
	for _, p := range s.Personas {
		if persona != "" && p.Name != persona {
			continue
		}
		if len(p.OnStart) > 0 {
			add(OnStart)
		}
		if len(p.Refresh.Do) > 0 {
			add(OnRefresh)
		}
		for _, t := range p.Tasks {
			add(t.Name)
		}
		if len(p.OnStop) > 0 {
			add(OnStop)
		}
	}
	if persona == "" && len(s.After) > 0 {
		add(After)
	}
	return names
}

func (s *Spec) stageNames() []string {
	var names []string
	for _, st := range s.Stages {
		names = append(names, st.Name)
	}
	return names
}

func (s *Spec) probeNames() []string {
	var names []string
	for _, p := range s.Probes {
		names = append(names, p.Name)
	}
	return names
}

// probe returns the probe of that name, nil for none.
func (s *Spec) probe(name string) *Probe {
	for _, p := range s.Probes {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// persona returns the persona of that name, nil for none.
func (s *Spec) persona(name string) *Persona {
	for _, p := range s.Personas {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Slot returns the index in Slots of a user's value, -1 if there is none of that name.
func (s *Spec) Slot(name string) int { return slices.Index(s.Slots, name) }

// calls returns every step of a persona: setup, tasks, end.
func (p *Persona) calls() []*Step {
	all := p.once()
	for _, t := range p.Tasks {
		all = append(all, t.Steps...)
	}
	return all
}

// once returns the steps of a persona that are in none of its tasks.
func (p *Persona) once() []*Step { return slices.Concat(p.OnStart, p.Refresh.Do, p.OnStop) }
