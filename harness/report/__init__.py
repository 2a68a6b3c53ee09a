"""What people see. Modules here lay out figures that others have computed; they may import whatever they show."""
