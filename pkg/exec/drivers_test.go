package exec

var drivers = []string{"loop"}
