"""What flotilla's own repository needs: its release, and the record of its public interface."""
