"""What people's patches come wrapped in, turned into the ordinary patch that the engine reads."""
